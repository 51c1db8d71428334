"""The layer table: every kind of layer that can be read, by its class name in the file.

To add a layer, write a function ``LayerCall -> Value`` in the module it belongs to and put it
into that module's table.
"""

from __future__ import annotations

from tintype.modelfiles.keras.layers.activation import ACTIVATION_LAYERS
from tintype.modelfiles.keras.layers.adaptive import ADAPTIVE_LAYERS
from tintype.modelfiles.keras.layers.attention import ATTENTION_LAYERS
from tintype.modelfiles.keras.layers.call import LayerKind
from tintype.modelfiles.keras.layers.convolution import CONVOLUTION_LAYERS
from tintype.modelfiles.keras.layers.core import CORE_LAYERS
from tintype.modelfiles.keras.layers.dot import DOT_LAYERS
from tintype.modelfiles.keras.layers.einsum import EINSUM_LAYERS
from tintype.modelfiles.keras.layers.embedding import EMBEDDING_LAYERS
from tintype.modelfiles.keras.layers.geometry import GEOMETRY_LAYERS
from tintype.modelfiles.keras.layers.grouped import GROUPED_LAYERS
from tintype.modelfiles.keras.layers.keras1 import KERAS_1_LAYERS
from tintype.modelfiles.keras.layers.local import LOCAL_LAYERS
from tintype.modelfiles.keras.layers.masks import MASK_LAYERS
from tintype.modelfiles.keras.layers.merge import MERGE_LAYERS
from tintype.modelfiles.keras.layers.nodes import NODE_LAYERS
from tintype.modelfiles.keras.layers.normalisation import NORMALISATION_LAYERS
from tintype.modelfiles.keras.layers.operations import OPERATION_LAYERS
from tintype.modelfiles.keras.layers.pooling import POOLING_LAYERS
from tintype.modelfiles.keras.layers.preprocessing import PREPROCESSING_LAYERS
from tintype.modelfiles.keras.layers.recurrent import RECURRENT_LAYERS
from tintype.modelfiles.keras.layers.recurrent_convolution import CONVOLUTIONAL_RECURRENT_LAYERS
from tintype.modelfiles.keras.layers.spectral import spectral_layer
from tintype.modelfiles.keras.layers.third_party import THIRD_PARTY_LAYERS
from tintype.modelfiles.keras.layers.time_distributed import TIME_DISTRIBUTED

LAYER_KINDS: dict[str, LayerKind] = {
    **CORE_LAYERS,
    **CONVOLUTION_LAYERS,
    **POOLING_LAYERS,
    **NORMALISATION_LAYERS,
    **ACTIVATION_LAYERS,
    **GEOMETRY_LAYERS,
    **MERGE_LAYERS,
    **MASK_LAYERS,
    **PREPROCESSING_LAYERS,
    **OPERATION_LAYERS,
    **KERAS_1_LAYERS,
    **ADAPTIVE_LAYERS,
    **GROUPED_LAYERS,
    **DOT_LAYERS,
    **LOCAL_LAYERS,
    **THIRD_PARTY_LAYERS,
    **NODE_LAYERS,
    "SpectralNormalization": spectral_layer(lambda: LAYER_KINDS),
    **RECURRENT_LAYERS,
    **CONVOLUTIONAL_RECURRENT_LAYERS,
    "TimeDistributed": TIME_DISTRIBUTED,
    **ATTENTION_LAYERS,
    **EINSUM_LAYERS,
    **EMBEDDING_LAYERS,
}
