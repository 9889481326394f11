// Bundles the page and the lane, and puts the inference runtime's files beside them, unbundled:
// its threads are workers that load the very file the lane imported.
import { copyFile, mkdir, rm } from "node:fs/promises";
import { build } from "esbuild";

const RUNTIME = "node_modules/onnxruntime-web/dist/";
const RUNTIME_FILES = [
  "ort.wasm.bundle.min.mjs",
  "ort-wasm-simd-threaded.wasm",
  "ort.webgpu.bundle.min.mjs",
  "ort-wasm-simd-threaded.asyncify.wasm",
  "ort.jspi.bundle.min.mjs",
  "ort-wasm-simd-threaded.jspi.wasm",
];

await rm("dist", { recursive: true, force: true });
await mkdir("dist/runtime", { recursive: true });
await build({
  entryPoints: ["src/page.ts", "src/lane.ts"],
  outdir: "dist",
  bundle: true,
  format: "esm",
  target: "es2022",
  legalComments: "inline",
  external: ["/assets/*"],
});
await copyFile("src/index.html", "dist/index.html");
// The same lane under another name: the runtime makes its bindings to WebNN with `eval`, so the server sends this
// script with a policy that lets it, and no other.
await copyFile("dist/lane.js", "dist/lane-webnn.js");
for (const file of RUNTIME_FILES) {
  await copyFile(RUNTIME + file, "dist/runtime/" + file);
}
