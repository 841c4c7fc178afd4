"""Charts in a PDF document: matplotlib computes them, and its drawing goes to the page as vectors.

Text stays text, in the fonts of the document.
"""

from __future__ import annotations

from typing import Any

from matplotlib.backend_bases import RendererBase
from matplotlib.path import Path as MplPath
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable

from doorbuster.report.figures.charts import DrawnFigure, draw_figure
from doorbuster.report.pdf.fonts import BOLD, REGULAR, font_runs, text_width
from doorbuster.report.section import Chart

_BOLD_FROM = 550  # weight of a text


class ChartFlowable(Flowable):  # type: ignore[misc]  # reportlab has no types
    """A chart as wide as the column it stands in, at most `height_pt` high."""

    def __init__(self, chart: Chart, *, height_pt: float | None = None) -> None:
        super().__init__()
        self.chart = chart
        self.height_pt = height_pt
        self._drawn: DrawnFigure | None = None

    def wrap(self, available_width: float, _available_height: float) -> tuple[float, float]:
        """The size in points."""
        if self._drawn is None or self._drawn.width_pt != available_width:
            self._drawn = draw_figure(self.chart, width_pt=available_width, height_pt=self.height_pt)
        self.width, self.height = self._drawn.width_pt, self._drawn.height_pt
        return self.width, self.height

    def draw(self) -> None:
        """Draw on the page's canvas, whose origin is the lower left corner of the chart."""
        assert self._drawn is not None, "wrap comes first"
        self._drawn.draw(CanvasRenderer(self.canv))


class CanvasRenderer(RendererBase):
    """matplotlib's drawing operations on a PDF canvas, in points from the lower left corner."""

    def __init__(self, canvas: Canvas) -> None:
        super().__init__()
        self._canvas = canvas

    def flipy(self) -> bool:
        """The origin is below."""
        return False

    def points_to_pixels(self, points: Any) -> Any:
        """A pixel is a point."""
        return points

    def get_text_width_height_descent(self, s: str, prop: Any, _ismath: Any) -> tuple[float, float, float]:
        """The size of a text, from the metrics of its font."""
        size = prop.get_size_in_points()
        return text_width(s, _font(prop), size), 0.73 * size, 0.2 * size

    def draw_path(self, gc: Any, path: MplPath, transform: Any, rgbFace: Any = None) -> None:  # noqa: N803
        """Fill and stroke a path."""
        canvas = self._canvas
        width = gc.get_linewidth()
        stroked = width > 0 and gc.get_rgb()[3] > 0
        if rgbFace is None and not stroked:
            return
        canvas.saveState()
        self._clip(gc)
        shape = canvas.beginPath()
        self._trace(shape, path, transform)
        alpha = gc.get_alpha() if gc.get_forced_alpha() else None
        if rgbFace is not None:
            canvas.setFillColorRGB(*rgbFace[:3])
            canvas.setFillAlpha(alpha if alpha is not None else (rgbFace[3] if len(rgbFace) > 3 else 1.0))
        if stroked:
            red, green, blue, own_alpha = gc.get_rgb()
            canvas.setStrokeColorRGB(red, green, blue)
            canvas.setStrokeAlpha(alpha if alpha is not None else own_alpha)
            canvas.setLineWidth(width)
            offset, dashes = gc.get_dashes()
            if dashes is not None:
                canvas.setDash([float(length) for length in dashes], float(offset or 0.0))
        canvas.drawPath(shape, stroke=int(stroked), fill=int(rgbFace is not None))
        canvas.restoreState()

    def draw_text(
        self,
        gc: Any,
        x: float,
        y: float,
        s: str,
        prop: Any,
        angle: float,
        ismath: Any = False,  # noqa: ARG002
        mtext: Any = None,  # noqa: ARG002
    ) -> None:
        """Write a line of text."""
        canvas, size = self._canvas, prop.get_size_in_points()
        canvas.saveState()
        canvas.translate(x, y)
        if angle:
            canvas.rotate(angle)
        text = canvas.beginText(0, 0)
        text.setFillColorRGB(*gc.get_rgb()[:3])
        for name, part in font_runs(s, _font(prop)):
            text.setFont(name, size)
            text.textOut(part)
        canvas.drawText(text)
        canvas.restoreState()

    def draw_image(self, *_: Any) -> None:
        """No chart has an image."""
        raise AssertionError("charts consist of paths and text")

    def _clip(self, gc: Any) -> None:
        rectangle = gc.get_clip_rectangle()
        if rectangle is not None:
            shape = self._canvas.beginPath()
            shape.rect(*rectangle.bounds)
            self._canvas.clipPath(shape, stroke=0, fill=0)

    @staticmethod
    def _trace(shape: Any, path: MplPath, transform: Any) -> None:
        for points, code in path.iter_segments(transform, simplify=False):
            if code == MplPath.MOVETO:
                shape.moveTo(*points)
            elif code == MplPath.LINETO:
                shape.lineTo(*points)
            elif code == MplPath.CURVE4:
                shape.curveTo(*points)
            elif code == MplPath.CLOSEPOLY:
                shape.close()
            else:
                raise AssertionError("only letters have curves of degree two, and text is not drawn as paths")


def _font(prop: Any) -> str:
    weight = prop.get_weight()
    bold = weight in ("bold", "semibold", "heavy") or (isinstance(weight, int) and weight >= _BOLD_FROM)
    return BOLD if bold else REGULAR
