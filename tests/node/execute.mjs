// Runs a workload through any address and prints what the stream said, as one JSON document.
//
//   node execute.mjs PROTO_FOLDER HOST:PORT MODEL

import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const [folder, target, model] = process.argv.slice(2);
const definition = loadSync("corun/v1/orchestrator_service.proto", {
  includeDirs: [folder],
  longs: Number,
  enums: String,
  oneofs: true,
});
const { OrchestratorService } = grpc.loadPackageDefinition(definition).corun.v1;
const client = new OrchestratorService(target, grpc.credentials.createInsecure(), { "grpc.enable_http_proxy": 0 });
const call = client.executeWithStrategy(
  { workload: { models: [{ modelName: model, batchSize: 1 }] }, platform: "PLATFORM_WASM" },
  { deadline: Date.now() + 120_000 },
);
const kinds = [];
let result = null;
let error = null;
call.on("data", (event) => {
  kinds.push(event.event);
  result = event.completed ?? result;
});
call.on("error", ({ code, details }) => {
  error = { code: grpc.status[code], details };
});
call.on("status", () => {
  client.close();
  const latencyMs = result?.measured.performance.latencyMs ?? null;
  console.log(JSON.stringify({ kinds, latencyMs, error }));
});
