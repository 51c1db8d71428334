"""What MLServer loads: a custom runtime, named by the model-settings.json beside it."""

from __future__ import annotations

import json

from classifier import Classifier
from mlserver import MLModel
from mlserver.codecs import Base64Codec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Classify(MLModel):
    async def load(self) -> bool:
        self.model = Classifier()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        (data,) = Base64Codec.decode_input(payload.inputs[0])
        output = StringCodec.encode_output("labels", [json.dumps(self.model.answer(data))])
        return InferenceResponse(model_name=self.name, outputs=[output])
