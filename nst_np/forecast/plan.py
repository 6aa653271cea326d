"""What of a run its costs depend on: settings and sizes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from nst_np import canvas
from nst_np.canvas import scaled_shape
from nst_np.config import Config, replace
from nst_np.network import FeatureNetwork

Layers = Mapping[str, float]
Shape = tuple[int, int]  # height, width

SMALL = 256**2  # pixels of canvas and style image, up to which a run is over before an estimate would have paid


@dataclass(frozen=True)
class Plan:
    """A run that is to come.

    Attributes
    ----------
    config : its settings.
    picture : height and width of the picture.
    content : whether a content image is looked at.
    style : height and width of the style image that is looked at, or None.
    """

    config: Config
    picture: Shape
    content: bool
    style: Shape | None

    @property
    def margin(self) -> int:
        """What is painted beyond every edge, in pixels."""
        return canvas.margin_of(self.picture, self.config.margin)

    @property
    def canvas(self) -> Shape:
        """The picture with its margin."""
        return self.picture[0] + 2 * self.margin, self.picture[1] + 2 * self.margin

    @property
    def factors(self) -> list[float]:
        """Of all sizes at which it is painted, the smallest first."""
        return canvas.factors(self.picture, self.config.coarse_to_fine)

    @property
    def is_small(self) -> bool:
        """Whether an estimate would not pay."""
        return max(area(self.canvas), area(self.style)) <= SMALL

    def resized(self, size: int) -> Plan:
        """The same with another `size`. The style image goes with it if that is where it has its own from."""
        longer, style = max(self.picture), self.style
        follows = self.config.style_size is None and max(1, round(longer * self.config.style_scale))
        if style is not None and max(style) == follows:
            style = scaled_shape(style, size / longer)
        return dataclasses.replace(self, picture=scaled_shape(self.picture, size / longer), style=style)

    def restyled(self, style_size: int) -> Plan:
        """The same with another `style_size`, where there is a style image."""
        if self.style is None:
            return self
        shape = scaled_shape(self.style, style_size / max(self.style))
        return dataclasses.replace(self, config=replace(self.config, style_size=style_size), style=shape)

    def layers(self, network: FeatureNetwork, factor: float = 1) -> tuple[Layers, Layers]:
        """Content and style layers at one of the sizes, none for an image that is not looked at."""
        seen = [self.canvas if self.content else None, self.style]
        shapes = [scaled_shape(shape, factor) for shape in seen if shape is not None]
        defaults = network.default_layers(*shapes) if shapes else ({}, {})
        chosen = self.config.content_layers or defaults[0], self.config.style_layers or defaults[1]
        return chosen[0] if self.content else {}, chosen[1] if self.style else {}

    def check_layers(self, network: FeatureNetwork) -> None:
        """Refuse what the run's first objective would refuse, in its order and its words."""
        first = self.factors[0]
        content, style = self.layers(network, first)
        shape = scaled_shape(self.canvas, first)
        looks = [(content, shape, "content image")]
        if self.style is not None:
            looks.append((style, scaled_shape(self.style, first), "style image"))
        looks.append(({**content, **style}, shape, "content image" if content else "image"))
        for layers, seen, name in looks:
            network.check_taps(layers)
            if layers:
                network.check_size(seen, layers, name)


def area(shape: Shape | None) -> int:
    """Height times width; 0 if there is nothing."""
    return 0 if shape is None else shape[0] * shape[1]
