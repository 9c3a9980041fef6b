"""A discriminator of mels, trained beside a frame prior or a score network so that its answer does not blur.

What minimises the distance to the target is the mean of all the mels that text, contour and style leave open: without
the edges and the texture of any of them. A discriminator tells such means from recordings.

Source: Yang et al. 2021, "GANSpeech": least squares, and the feature distance scaled to the distance of the mels.
"""

from __future__ import annotations

from torch import Tensor
from torch.func import functional_call

from hifigan.discriminators import PictureDiscriminator
from hifigan.losses import discriminator_loss, feature_loss, generator_loss

CHANNELS = 32
RATE = 0.25
"""Learning rate of the discriminator, as a share of the model's."""
BETAS = (0.5, 0.9)


class MelDiscriminator(PictureDiscriminator):
    """Judges normalised mels (B, 1, M, T)."""

    def __init__(self) -> None:
        super().__init__(CHANNELS)


def adversarial_losses(
    discriminator: MelDiscriminator, real: Tensor, fake: Tensor, *, distance: Tensor, weight: float
) -> tuple[Tensor, Tensor]:
    """Losses of the model and of the discriminator, whose gradients reach each its own weights alone.

    Args:
        discriminator: Judge of mels.
        real: Recorded mels (B, M, T), normalised, 0 where nothing is judged.
        fake: Predicted mels (B, M, T), 0 in the same places.
        distance: Loss of the predicted mels (), to whose size the feature distance is scaled.
        weight: Of the discriminator's scores.

    Returns:
        Loss of the model and loss of the discriminator, shapes ().
    """
    judged = discriminator(real[:, None])
    own = discriminator_loss([judged], [discriminator(fake.detach()[:, None])])
    frozen = {name: parameter.detach() for name, parameter in discriminator.named_parameters()}
    seen = functional_call(discriminator, frozen, (fake[:, None],))
    features = feature_loss([judged], [seen])
    scale = distance.detach() / features.detach().clamp_min(1e-6)
    return weight * generator_loss([seen]) + scale * features, own
