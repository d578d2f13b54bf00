"""How a picture is sent. It is drawn when somebody asks for it and does not have it yet."""

from __future__ import annotations

import hashlib

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ie_crowd.site.charts import png

SCALE = 2  # pixels of a PNG for each of the SVG's; the only one there is
MINUTES = {"Cache-Control": "max-age=600"}


def svg(request: Request, drawing: str, headers: dict[str, str]) -> Response:
    """The drawing itself."""
    return _unless_known(request, drawing, "svg", headers) or Response(
        drawing, media_type="image/svg+xml", headers=_tagged(drawing, "svg", headers)
    )


def raster(request: Request, drawing: str, headers: dict[str, str], scale: int = SCALE) -> Response:
    """The drawing as PNG. 404 where there is nothing that draws, 503 where others have to be drawn first."""
    if not png.available():
        raise HTTPException(404, "This site draws no PNG: resvg_py is not installed.")
    known = _unless_known(request, drawing, "png", headers)
    if known is not None:
        return known
    try:
        content = png.draw(drawing, scale)
    except png.Busy:
        text = "Other pictures are being drawn; try again in a moment."
        raise HTTPException(503, text, headers={"Retry-After": "5"}) from None
    return Response(content, media_type="image/png", headers=_tagged(drawing, "png", headers))


def as_file(name: str) -> dict[str, str]:
    """The headers of a file to keep, of that name (letters, digits, points and hyphens)."""
    plain = "".join(one if one.isascii() and (one.isalnum() or one in ".-_") else "-" for one in name)
    return {**MINUTES, "Content-Disposition": f'attachment; filename="{plain}"'}


def _tagged(drawing: str, form: str, headers: dict[str, str]) -> dict[str, str]:
    return {**headers, "ETag": f'"{form}-{hashlib.sha256(drawing.encode()).hexdigest()[:24]}"'}


def _unless_known(request: Request, drawing: str, form: str, headers: dict[str, str]) -> Response | None:
    tagged = _tagged(drawing, form, headers)
    known = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    return Response(status_code=304, headers=tagged) if tagged["ETag"] in known else None
