"""Starting a browser: what each family of engines wants on its command line and in its preferences."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Browser, Playwright

from corun.resource_pool.browser.engines import Engine
from corun.resource_pool.browser.sandbox import is_sandboxed

# Keeps the browser off the network: nothing it would fetch by itself helps a model run.
_QUIET = (
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",  # as the headless shell calls it
)
# Without these, after some GPU process crashes WebGPU stays away while the browser looks healthy.
_GPU_SURVIVES_CRASHES = ("--disable-gpu-process-crash-limit", "--disable-domain-blocking-for-3d-apis")
# Lets a lane free a model's file as soon as the runtime has copied it, instead of whenever the browser likes. And what
# runs often is compiled anew while a lane is warmed up, not long after: in the seventh run of all-minilm-l6-v2 one
# function took 95 MB and 300 ms of both cores.
_JAVASCRIPT = ("--js-flags=--expose-gc --wasm-tiering-budget=1000000",)
_PLATFORMS = ("--enable-unsafe-webgpu", "--enable-features=WebMachineLearningNeuralNetwork")
_SOFTWARE_WEBGPU = ("--use-webgpu-adapter=swiftshader",)

_FIREFOX_PREFERENCES: dict[str, str | float | bool] = {
    "dom.webgpu.enabled": True,
    "dom.webgpu.workers.enabled": True,
    "gfx.webgpu.ignore-blocklist": True,
    "dom.serviceWorkers.enabled": False,
    "media.peerconnection.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.dns.disablePrefetch": True,
    "network.prefetch-next": False,
    "app.update.enabled": False,
    "browser.safebrowsing.downloads.remote.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.enabled": False,
    "extensions.update.enabled": False,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
}


# The path of a socket ends at 104 characters on some systems, and Chromium adds 45 to its temporary folder's.
_LONGEST_SCRATCH = 59


@dataclass(frozen=True, slots=True)
class LaunchOrder:
    """What to start.

    Attributes:
        engine: Kind of browser.
        executable: Of the browser.
        mark: An argument that marks its process as the pool's.
        page_port: Port of the pool's own pages, the only place it may reach.
        deny_port: Port of the proxy that refuses everything else.
        scratch: Folder for its temporary files.
    """

    engine: Engine
    executable: Path
    mark: str
    page_port: int
    deny_port: int
    scratch: Path


def has_gpu() -> bool:
    """True when the machine has a graphics device that a browser could use."""
    return Path("/dev/dri").is_dir()


async def launch(playwright: Playwright, order: LaunchOrder) -> Browser:
    """Starts the browser. Raises what Playwright raises."""
    if order.engine.family == "firefox":
        return await _launch_firefox(playwright, order)
    return await _launch_chromium(playwright, order)


async def _launch_chromium(playwright: Playwright, order: LaunchOrder) -> Browser:
    software = () if has_gpu() else _SOFTWARE_WEBGPU
    isolation = (
        f"--proxy-server=http://127.0.0.1:{order.deny_port}",
        f"--proxy-bypass-list=<-loopback>;127.0.0.1:{order.page_port}",
    )
    return await playwright.chromium.launch(
        executable_path=order.executable,
        args=[*_QUIET, *_JAVASCRIPT, *_GPU_SURVIVES_CRASHES, *_PLATFORMS, *software, *isolation, order.mark],
        chromium_sandbox=await asyncio.to_thread(is_sandboxed, order.engine),
        artifacts_dir=order.scratch,
        env=_environment(order),
        handle_sigint=False,
        handle_sigterm=False,
        handle_sighup=False,
    )


async def _launch_firefox(playwright: Playwright, order: LaunchOrder) -> Browser:
    isolation: dict[str, str | float | bool] = {
        "network.proxy.type": 1,
        "network.proxy.http": "127.0.0.1",
        "network.proxy.http_port": order.deny_port,
        "network.proxy.ssl": "127.0.0.1",
        "network.proxy.ssl_port": order.deny_port,
        "network.proxy.allow_hijacking_localhost": True,
        "network.proxy.no_proxies_on": f"127.0.0.1:{order.page_port}",
    }
    return await playwright.firefox.launch(
        channel="moz-firefox",
        executable_path=order.executable,
        args=[order.mark],
        firefox_user_prefs=_FIREFOX_PREFERENCES | isolation,
        artifacts_dir=order.scratch,
        env=_environment(order),
        handle_sigint=False,
        handle_sigterm=False,
        handle_sighup=False,
    )


def _environment(order: LaunchOrder) -> dict[str, str | float | bool]:
    if len(str(order.scratch)) > _LONGEST_SCRATCH:
        return dict(os.environ)
    return {**os.environ, "TMPDIR": str(order.scratch)}
