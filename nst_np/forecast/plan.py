"""What of a run its costs depend on: settings and sizes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from nst_np import canvas, images
from nst_np.canvas import STYLE_AREA, scaled_shape
from nst_np.config import Config, replace
from nst_np.guides import Guides
from nst_np.network import FeatureNetwork
from nst_np.terms import own_layers

Layers = Mapping[str, float]
Shape = tuple[int, int]  # height, width

SMALL = 256**2  # pixels of canvas and style image, up to which a run is over before an estimate would have paid


class Stage(NamedTuple):
    """What is painted with one objective.

    Attributes
    ----------
    factor : its size, of the picture's.
    iterations : how many there are.
    is_final : whether it is the final pass, with style losses of its own.
    """

    factor: float
    iterations: int
    is_final: bool = False


@dataclass(frozen=True)
class Plan:
    """A run that is to come.

    Attributes
    ----------
    config : its settings.
    picture : height and width of the picture.
    content : whether a content image is looked at.
    styles : height and width of each style image that is looked at.
    guides : what differs by place.
    """

    config: Config
    picture: Shape
    content: bool
    styles: tuple[Shape, ...]
    guides: Guides = dataclasses.field(default_factory=Guides, compare=False)

    def margin(self, factor: float = 1) -> int:
        """What is painted beyond every edge at one of the sizes, in pixels; nothing where the edges meet."""
        return 0 if self.config.tileable else canvas.margin_of(scaled_shape(self.picture, factor), self.config.margin)

    def seen(self, factor: float = 1) -> Shape:
        """What the network looks at, at one of the sizes."""
        height, width = scaled_shape(self.picture, factor)
        margin = self.margin(factor)
        return height + 2 * margin, width + 2 * margin

    def seen_styles(self, factor: float = 1) -> list[Shape]:
        """The style images as they are looked at, at one of the sizes."""
        return [scaled_shape(style, canvas.style_factor(style, factor)) for style in self.styles]

    @property
    def factors(self) -> list[float]:
        """Of all sizes at which it is painted, the smallest first."""
        config = self.config
        return canvas.factors(self.picture, config.coarse_to_fine, config.growth, config.smallest_size)

    @property
    def schedule(self) -> list[Stage]:
        """Of all sizes, and the final pass if there is one."""
        least, decay = self.config.iterations, self.config.iterations_decay or math.inf
        first = self.config.first_iterations or least
        stages = [Stage(factor, max(least, int(first / decay**size)) if size else first)
                  for size, factor in enumerate(self.factors)]
        return [*stages, Stage(1.0, least, True)] if self.has_final else stages

    @property
    def has_final(self) -> bool:
        """Whether there is a final pass."""
        return self.config.final_style_loss is not None and bool(self.styles)

    def settings(self, is_final: bool) -> Config:
        """Those of the final pass, or of all before."""
        config = self.config
        if not is_final:
            return config
        weight = config.content_weight if config.final_content_weight is None else config.final_content_weight
        return replace(config, style_loss=config.final_style_loss, content_weight=weight,
                       parametrization=config.final_parametrization or config.parametrization)

    @property
    def stages(self) -> list[Stage]:
        """Those of the schedule that are worked on, as far as that goes: `stop_after` may end the run early."""
        left = math.inf if self.config.stop_after is None else self.config.stop_after
        stages = []
        for stage in self.schedule:
            if left > 0:
                stages.append(stage._replace(iterations=int(min(stage.iterations, left))))
            left -= stage.iterations
        return stages

    @property
    def iterations(self) -> int:
        """How many there are at all sizes, if nothing stops them."""
        return sum(stage.iterations for stage in self.schedule)

    @property
    def is_small(self) -> bool:
        """Whether an estimate would not pay."""
        return self.config.memory is None and max(map(area, (self.seen(), *self.styles))) <= SMALL

    def side(self, shape: Shape) -> int:
        """What `size` is of a picture of some height and width."""
        return images.measured_side(shape, self.config.fit)

    def resized(self, size: int) -> Plan:
        """The same with another `size`. A style image goes with it if that is where it has its own from."""
        side = self.side(self.picture)
        styles = tuple(scaled_shape(style, size / side) if self._follows(style) else style for style in self.styles)
        return dataclasses.replace(self, picture=scaled_shape(self.picture, size / side), styles=styles)

    def _follows(self, style: Shape) -> bool:
        """Whether a style image has its size from the picture's: its side, or where that is too much its area."""
        if self.config.style_size is not None:
            return False
        side = max(1, round(self.side(self.picture) * self.config.style_scale))
        most = STYLE_AREA * area(self.picture) * self.config.style_scale**2
        return self.side(style) == side or (self.side(style) < side and area(style) > 0.9 * most)

    def restyled(self, style_size: int) -> Plan:
        """The same with another `style_size`, where there are style images."""
        if not self.styles:
            return self
        styles = tuple(scaled_shape(style, style_size / self.side(style)) for style in self.styles)
        return dataclasses.replace(self, config=replace(self.config, style_size=style_size), styles=styles)

    def layers(self, network: FeatureNetwork, factor: float = 1) -> tuple[Layers, Layers]:
        """Content and style layers at one of the sizes, none for an image that is not looked at."""
        shapes = [self.seen(factor)] * self.content + self.seen_styles(factor)
        defaults = network.default_layers(*shapes) if shapes else ({}, {})
        own = own_layers(self.config.content_loss, self.config.style_losses)
        usual = [{**layers, **{name: 1.0 for name in others if name in network.layers}}
                 for layers, others in zip(defaults, own, strict=True)]
        chosen = self.config.content_layers or usual[0], self.config.style_layers or usual[1]
        return chosen[0] if self.content else {}, chosen[1] if self.styles else {}

    def check_layers(self, network: FeatureNetwork) -> None:
        """Refuse what the run's first objective would refuse, in its order and its words."""
        first = self.factors[0]
        content, style = self.layers(network, first)
        shape = self.seen(first)
        looks = [(content, shape, "content image")]
        looks += [(style, image, "style image") for image in self.seen_styles(first)]
        looks.append(({**content, **style}, shape, "content image" if content else "image"))
        for layers, seen, name in looks:
            network.check_taps(layers)
            if layers:
                network.check_size(seen, layers, name)


def area(shape: Shape) -> int:
    """Height times width."""
    return shape[0] * shape[1]
