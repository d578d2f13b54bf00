"""The networks: f(x) for r_y, q(v | r_y, x), p(x | r_y, v) and q(y | x). No loss, no optimiser, no disk.

M2 (Kingma et al. 2014) has the same networks but for f: what the others get of the class is a learned r_y.

Shapes are written with B images, K classes considered for each image, R = invariant_dim, V = equivariant_dim and
H = hidden. What depends on the image alone is computed once per image; the class enters by a sum.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ie_model.config import Config
from ie_model.moments import Moments
from ie_model.pose import Pose

PAPER_LOGIT = -2.0  # a decoder of ink starts from mostly empty paper (12 % ink), not from grey
COLOUR_LOG_SCALE = -2.0  # a decoder of colours starts with logistic noise of scale exp(-2) = 0.14 of the whole range
TABLE_SPREAD = (
    1.0  # standard deviation of M2's r_y at the start; 0.035, which f's class means have, and 0.3 are no better
)
INVARIANT_GAIN = 5.0  # f starts with class means as far apart as the noise in v; else v is learnt first and r ignored


class Encoder(nn.Module):
    """Two strided convolutions and a dense layer: images (B, *shape) to features (B, out).

    Batch normalisation (Ioffe & Szegedy 2015) lets it learn three times as fast. Not in f: there the statistics of the
    batch would tell r_y of x itself, which must not be among its complementary samples.
    """

    def __init__(self, config: Config, out: int, normalised: bool) -> None:
        super().__init__()
        channels, bias = config.channels, not normalised
        self.first = nn.Conv2d(config.facts.channels, channels, kernel_size=5, stride=2, padding=2, bias=bias)
        self.second = nn.Conv2d(channels, 2 * channels, kernel_size=4, stride=2, padding=1, bias=bias)
        self.dense = nn.Linear(2 * channels * (config.facts.side // 4) ** 2, out, bias=bias)
        self.norms = nn.ModuleList(
            [nn.BatchNorm2d(channels), nn.BatchNorm2d(2 * channels), nn.BatchNorm1d(out)]
            if normalised
            else [nn.Identity(), nn.Identity(), nn.Identity()]
        )

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, out) of images (B, *shape)."""
        x = F.relu(self.norms[0](self.first(x)))  # (B, channels, 14, 14) for images of 28 × 28
        x = F.relu(self.norms[1](self.second(x)))  # (B, 2 channels, 7, 7)
        # Channels last, as the convolution has left it in memory: flattening moves nothing.
        features: Tensor = self.norms[2](self.dense(x.permute(0, 2, 3, 1).flatten(1)))
        return features  # (B, out)


class Classifier(nn.Module):
    """q(y | x) by itself: an image encoder and a linear head, as in EquiVAE. The control is this, and q-only."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.encoder = Encoder(config, config.hidden, normalised=True)
        self.head = nn.Linear(config.hidden, config.facts.classes)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """log q(y | x), (B, C), of images (B, *shape)."""
        return F.log_softmax(self.head(F.relu(self.encoder(x))), dim=1)

    def features(self, x: Tensor) -> Tensor:
        """What the head knows of images (B, *shape): (B, H)."""
        return F.relu(self.encoder(x))

    def classify(self, features: Tensor) -> Tensor:
        """log q(y | x), (B, C), from features (B, H)."""
        return F.log_softmax(self.head(features).float(), dim=1)


class Posterior(nn.Module):
    """q(v | r_y, x): a Gaussian with diagonal covariance."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.from_image = nn.Linear(config.hidden, config.hidden)
        self.from_invariant = nn.Linear(config.invariant_dim, config.hidden, bias=False)
        self.head = nn.Linear(config.hidden, 2 * config.equivariant_dim)

    def forward(self, features: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
        """features: (B, H) of the images, r: (B, K, R). Returns mean and log-variance of v, (B, K, V) each."""
        return self._from_hidden(self.from_image(features).unsqueeze(1), r)  # (B, 1, H): once per image

    def pairs(self, features: Tensor, image: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
        """The same for N pairs of image and class: features (B, H), image: indices (N,), r: (N, R). Returns (N, V)."""
        return self._from_hidden(self.from_image(features)[image], r)

    def _from_hidden(self, image: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
        both = F.relu(image + self.from_invariant(r))  # (..., H)
        mean, log_variance = self.head(both).float().chunk(2, dim=-1)  # densities are computed in fp32
        return mean, log_variance.clamp(-12, 6)  # beyond these exp() is 0 or absurd; keeps a bad step finite


class Decoder(nn.Module):
    """p(x | r_y, v), pixel by pixel: dense, a transposed convolution, and one that gives each 2 × 2 pixels at once.

    Then v moves all of it (:class:`Pose`), so that the layers before it draw every class in one pose.

    Grey images: the logits of Bernoulli distributions of ink. Colour images: the means, before a sigmoid, of logistic
    distributions discretised to the 256 values; ``log_scale`` (channels,) is learned, one for each colour.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.from_invariant = nn.Linear(config.invariant_dim, config.hidden)
        self.from_equivariant = nn.Linear(config.equivariant_dim, config.hidden, bias=False)
        self.shape = config.facts.shape
        self.dense = nn.Linear(config.hidden, 2 * config.channels * (config.facts.side // 4) ** 2)
        self.second = nn.ConvTranspose2d(2 * config.channels, config.channels, kernel_size=4, stride=2, padding=1)
        # On a CPU half the time of a transposed convolution, though each pixel sees nine inputs instead of four.
        self.first = nn.Conv2d(config.channels, 4 * config.facts.channels, kernel_size=3, padding=1)
        self.norms = nn.ModuleList(
            [nn.BatchNorm1d(config.hidden), nn.BatchNorm2d(config.channels)]
            if config.decoder_norm == "batch"
            else [nn.LayerNorm(config.hidden), nn.GroupNorm(1, config.channels)]
        )
        self.modulations = nn.ModuleList()
        if config.modulated:
            for width in (2 * config.channels, config.channels):
                layer = nn.Linear(config.invariant_dim, 2 * width)
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)
                self.modulations.append(layer)
        assert self.first.bias is not None
        self.pose = Pose(config.equivariant_dim, config.pose_gain) if config.pose_gain else None
        self.log_scale: nn.Parameter | None = None
        if config.facts.channels == 1:
            nn.init.constant_(self.first.bias, PAPER_LOGIT)
        else:
            nn.init.zeros_(self.first.bias)
            self.log_scale = nn.Parameter(torch.full((config.facts.channels,), COLOUR_LOG_SCALE))

    def forward(self, r: Tensor, v: Tensor) -> Tensor:
        """r: (..., R), v: (..., V), broadcast against each other. Returns logits (..., pixels)."""
        hidden = self.from_invariant(r) + self.from_equivariant(v)  # (..., H)
        leading = hidden.shape[:-1]
        _, height, width = self.shape
        maps = self.dense(F.relu(self.norms[0](hidden.reshape(-1, hidden.shape[-1]))))
        maps = maps.view(-1, height // 4, width // 4, self.second.in_channels).permute(0, 3, 1, 2)  # channels last
        maps = F.relu(self._modulate(0, maps, r, leading))  # (N, 2 channels, 7, 7)
        maps = self.norms[1](self.second(maps))
        maps = F.relu(self._modulate(1, maps, r, leading))  # (N, channels, 14, 14)
        logits = F.pixel_shuffle(self.first(maps), 2)  # (N, *shape)
        if self.pose is not None:
            logits = self.pose(logits, v.expand(*leading, -1).reshape(logits.shape[0], -1))
        return logits.float().reshape(*leading, -1)

    def _modulate(self, layer: int, maps: Tensor, r: Tensor, leading: torch.Size) -> Tensor:
        """Feature-wise linear modulation (Perez et al. 2018) of maps (N, K, h, w), N of ``leading``, by r (..., R)."""
        if not self.modulations:
            return maps
        said = self.modulations[layer](r.expand(*leading, -1).reshape(maps.shape[0], -1))  # (N, 2 K)
        scale, shift = said[:, :, None, None].chunk(2, dim=1)
        return maps * (1 + scale) + shift

    def mean_image(self, r: Tensor, v: Tensor) -> Tensor:
        """The mean of p(x | r, v), in [0, 1]: (..., *shape)."""
        return torch.sigmoid(self(r, v)).unflatten(-1, self.shape)


class EquiVAE(nn.Module):
    """The paper's model, or M2. q(v | r_y, x) and q(y | x) read the same image features, which are computed once.

    Of ``invariant`` (f) and ``table`` (r_y of every class, (C, R)) the paper's model has the first, M2 the second.
    """

    def __init__(self, config: Config, table: bool | None = None) -> None:
        """table: whether it is M2; None: as the configuration's method says."""
        super().__init__()
        self.invariant: Encoder | None = None
        self.table: nn.Parameter | None = None
        if config.has_f if table is None else not table:
            self.invariant = Encoder(config, config.invariant_dim, normalised=False)
            with torch.no_grad():
                self.invariant.dense.weight.mul_(INVARIANT_GAIN)
        else:
            self.table = nn.Parameter(TABLE_SPREAD * torch.randn(config.classes, config.invariant_dim))
        self.encoder = Encoder(config, config.hidden, normalised=True)
        self.posterior = Posterior(config)
        self.decoder = Decoder(config)
        # The semi-supervised objective alone has q(y | x).
        self.classifier = nn.Linear(config.hidden, config.facts.classes) if config.semi_supervised else None
        self.moments = Moments(config.classes, config.equivariant_dim) if config.moments_weight else None
        self.to(memory_format=torch.channels_last)  # convolutions of few channels take half the time on a CPU

    def f(self, x: Tensor) -> Tensor:
        """f(x), (B, R), of images (B, *shape). Raises ValueError for M2, which has no f."""
        if self.invariant is None:
            raise ValueError("this model is M2, which has no f(x); expected one that was trained with method=equivae")
        features: Tensor = self.invariant(x)
        return features

    def features(self, x: Tensor) -> Tensor:
        """What q(v | r_y, x) and q(y | x) know of images (B, *shape): (B, H)."""
        return F.relu(self.encoder(x))

    def classify(self, features: Tensor) -> Tensor:
        """log q(y | x), (B, C), from features (B, H). Raises ValueError for a supervised model, which has no q(y|x)."""
        if self.classifier is None:
            raise ValueError("this model was trained with all labels and has no q(y|x); expected a semi-supervised one")
        return F.log_softmax(self.classifier(features).float(), dim=1)


def sample_gaussian(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """A reparametrised sample of N(mean, exp(log_variance)) from standard normal noise of the same shape."""
    return mean + torch.exp(0.5 * log_variance) * noise
