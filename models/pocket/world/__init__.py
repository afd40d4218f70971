"""A small procedural picture world: scenes, captions and the styles they are drawn in.

``sample(seed)`` gives an ``(image, caption, attributes)`` triple; everything is
a pure function of the integer seed, the pixel size and the style name.
"""

from .scene import Scene, draw_scene, random_scene, sample  # noqa: F401
