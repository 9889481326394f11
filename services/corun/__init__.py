"""corun: runs several AI models side by side in real browsers and predicts what that costs."""

from __future__ import annotations

__version__ = "0.1.0"
