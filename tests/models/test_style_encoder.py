"""Style encoder: padding, masks on the reference plane, unknown vectors, the null style."""

from __future__ import annotations

import pytest
import torch

from gradtts_interp.config import StyleConfig
from gradtts_interp.models.style_attention import LOG_ZERO
from gradtts_interp.models.style_encoder import ROLES, StyleEncoder

CONFIG = StyleConfig(width=12, patch_bins=4, patch_frames=8, n_speakers=3, emotion_dim=5)
MELS, FRAMES, POOLED = 10, 19, 6
ROWS, COLUMNS = 3, 3  # patches of 10 bins and 19 frames


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return StyleEncoder(CONFIG, n_mels=MELS, pooled_channels=POOLED, timbre_width=8).eval()


@pytest.fixture(scope="module")
def mel():
    return torch.randn(2, MELS, FRAMES, generator=torch.Generator().manual_seed(1))


LENGTHS = torch.tensor([FRAMES, 11])


@torch.no_grad()
def test_shapes_and_weights(encoder, mel):
    style, pooled = encoder(
        mel, LENGTHS, speaker=torch.tensor([1, -1]), emotion=torch.eye(5)[:2] * torch.tensor([[1.0], [0]])
    )
    assert style.tokens.shape == (2, ROWS * COLUMNS + 2, 12) and pooled.shape == (2, POOLED)
    weight = style.log_weight.exp()[:, :-2].reshape(2, ROWS, COLUMNS)
    torch.testing.assert_close(weight[0, 0], torch.tensor([1, 1, 3 / 8]))
    torch.testing.assert_close(weight[1, 0], torch.tensor([1, 3 / 8, 0]))
    assert style.log_weight.exp()[:, -2:].tolist() == [[1, 1], [0, 0]]  # speaker and emotion, where they are known
    bare = StyleEncoder(StyleConfig(width=12), n_mels=MELS, pooled_channels=POOLED, timbre_width=8).eval()
    assert bare(mel, LENGTHS, speaker=torch.tensor([0, 0]))[0].tokens.shape[1] == ROWS * COLUMNS


@pytest.mark.parametrize("role", ROLES)
@torch.no_grad()
def test_padding_of_the_reference_changes_nothing(encoder, mel, role):
    mask = torch.rand(2, MELS, FRAMES, generator=torch.Generator().manual_seed(2))
    padded = torch.nn.functional.pad(mel, (0, 13), value=7.0)
    padded[1, :, 11:] = -5.0
    wide = torch.nn.functional.pad(mask, (0, 13), value=1.0)
    batch, pooled = encoder(padded, LENGTHS, mask=wide, role=role)
    for i, length in enumerate(LENGTHS.tolist()):
        part = (mel[i : i + 1, :, :length], LENGTHS[i : i + 1])
        alone, own = encoder(*part, mask=mask[i : i + 1, :, :length], role=role)
        torch.testing.assert_close(pooled[i], own[0], atol=1e-5, rtol=0)
        read, read_alone = batch.log_weight[i] > LOG_ZERO, alone.log_weight[0] > LOG_ZERO
        assert int(read.sum()) == int(read_alone.sum())
        torch.testing.assert_close(batch.tokens[i][read], alone.tokens[0][read_alone], atol=1e-5, rtol=0)
        torch.testing.assert_close(batch.log_weight[i][read], alone.log_weight[0][read_alone], atol=1e-6, rtol=0)


@torch.no_grad()
def test_a_mask_hides_its_patch_and_no_other_token_knows_of_it(encoder, mel):
    mask = torch.ones(1, MELS, FRAMES)
    mask[:, 4:8, 16:] = 0  # the patch (1, 2)
    before, pooled = encoder(mel[:1], LENGTHS[:1], mask=mask)
    changed = mel[:1].clone()
    changed[:, 4:8, 16:] = 50.0
    after, pooled_after = encoder(changed, LENGTHS[:1], mask=mask)
    hidden, moved = before.log_weight[0, :-2] == LOG_ZERO, (after.tokens[0] != before.tokens[0]).any(1)
    assert hidden.nonzero().flatten().tolist() == moved.nonzero().flatten().tolist() == [1 * COLUMNS + 2]
    assert torch.equal(after.log_weight, before.log_weight)
    torch.testing.assert_close(pooled_after, pooled, atol=1e-5, rtol=0)
    for shown in (mel[:1], changed):
        assert (encoder(shown, LENGTHS[:1])[1] - pooled).abs().max() > 1e-3


@torch.no_grad()
def test_roles_speaker_and_emotion_are_read(encoder, mel):
    plain, pooled = encoder(mel, LENGTHS)
    assert (encoder(mel, LENGTHS, role="pitch")[0].tokens - plain.tokens).abs().max() > 1e-2
    torch.testing.assert_close(
        encoder(mel, LENGTHS, role=torch.tensor([ROLES["whole"], ROLES["rest"]]))[0].tokens[0], plain.tokens[0]
    )
    for extra in ({"speaker": torch.tensor([0, 2])}, {"emotion": torch.eye(5)[:2]}):
        assert (encoder(mel, LENGTHS, **extra)[1] - pooled).abs().max() > 1e-3
    unknown = {"speaker": torch.tensor([-1, -1]), "emotion": torch.zeros(2, 5)}
    assert torch.equal(encoder(mel, LENGTHS, **unknown)[1], pooled)


@torch.no_grad()
def test_the_style_is_dropped_per_item(encoder, mel):
    plain, _ = encoder(mel, LENGTHS)
    named, _ = encoder(mel.flip(0), LENGTHS.flip(0), speaker=torch.tensor([0, 1]))
    styles = [plain, named]
    dropped = encoder.drop(styles, torch.tensor([True, False]))
    null = encoder.null_style(2)
    assert null.tokens.shape == (2, 1, 12) and null.log_weight.tolist() == [[0.0]] * 2
    for kept, style in zip(dropped, styles, strict=True):
        assert torch.equal(kept.tokens[:, :-1], style.tokens) and torch.equal(kept.tokens[:, -1:], null.tokens)
        assert kept.log_weight[0].exp().tolist() == [0.0] * style.tokens.shape[1] + [1.0]
        assert torch.equal(kept.log_weight[1, :-1], style.log_weight[1]) and kept.log_weight[1, -1] == LOG_ZERO
