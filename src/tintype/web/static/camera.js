// A photo from the camera: the phone's own camera where fingers are the pointer, else a viewfinder.

const button = document.getElementById("take");
const capture = document.getElementById("capture");
const dialog = document.getElementById("camera");
const video = document.getElementById("viewfinder");
const problem = document.getElementById("camera-problem");

const QUALITY = 0.95;

export function watchCamera({ take }) {
  const coarse = matchMedia("(pointer: coarse)").matches;
  if (!coarse && !navigator.mediaDevices?.getUserMedia) return;
  button.hidden = false;
  button.addEventListener("click", () => (coarse ? capture.click() : open()));
  capture.addEventListener("change", () => {
    if (capture.files.length > 0) take(capture.files[0]);
  });
  document.getElementById("shoot").addEventListener("click", async () => {
    const file = await shoot();
    if (file === null) return;
    dialog.close();
    take(file);
  });
  document.getElementById("camera-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", stop);
}

async function open() {
  problem.textContent = "";
  dialog.showModal();
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({
      video: { facingMode: "environment", width: { ideal: 1920 } },
    });
    if (!dialog.open) stop();
    else await video.play();
  } catch (error) {
    problem.textContent = `The camera cannot be used: ${error.message}`;
  }
}

async function shoot() {
  if (!video.videoWidth) return null;
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  const blob = await new Promise((done) => { canvas.toBlob(done, "image/jpeg", QUALITY); });
  return new File([blob], "photo.jpg", { type: "image/jpeg" });
}

function stop() {
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.srcObject = null;
}
