"""What each picture format's header says, read with ``struct`` alone, before any decoder."""
