// Streams a comparison of strategies from a running deployment.
//
//   node dist/src/compare.js [HOST:PORT] [NAME:BATCH,…] [PLATFORM]

import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { Platform, Strategy } from "../generated/corun/v1/core_pb.js";
import { type ComparisonResult, OrchestratorService } from "../generated/corun/v1/orchestrator_service_pb.js";

const [target = "127.0.0.1:50051", models = "all-minilm-l6-v2:4,efficientnet-lite0", platform = "wasm"] =
  process.argv.slice(2);

function parseModels(text: string): { modelName: string; batchSize: number }[] {
  return text.split(",").map((entry) => {
    const [modelName = "", batch = "1"] = entry.split(":");
    return { modelName, batchSize: Number(batch) };
  });
}

function parsePlatform(name: string): Platform {
  const value = Platform[name.toUpperCase() as keyof typeof Platform];
  if (!value) {
    throw new Error(`platform: ${name} is unknown; allowed: webgpu, webnn, wasm`);
  }
  return value;
}

const nameOf = (strategy: Strategy): string => Strategy[strategy].toLowerCase();

function print(result: ComparisonResult): void {
  for (const { strategy, measured, predicted, error } of result.strategies) {
    if (!measured) {
      console.log(`${nameOf(strategy).padEnd(12)} failed: ${error?.message}`);
      continue;
    }
    const latency = `${measured.latencyMs.toFixed(1)} ms (predicted ${predicted?.latencyMs?.value.toFixed(1)})`;
    const throughput = `${measured.throughputItemsPerSecond.toFixed(2)} items/s`;
    console.log(`${nameOf(strategy).padEnd(12)} ${latency}  ${throughput}  ${measured.memoryMb.toFixed(0)} MB`);
  }
  const tied = result.tied.map(nameOf).join(", ");
  console.log(`best: ${nameOf(result.best)} (within noise: ${tied}); recommended: ${nameOf(result.recommended)}`);
}

async function main(sessionManager: Http2SessionManager): Promise<void> {
  const transport = createGrpcTransport({ baseUrl: `http://${target}`, sessionManager });
  const orchestrator = createClient(OrchestratorService, transport);
  const workload = { models: parseModels(models) };
  const events = orchestrator.compareStrategies(
    { workload, platform: parsePlatform(platform) },
    { timeoutMs: 30 * 60 * 1000 },
  );
  let result: ComparisonResult | undefined;
  for await (const { event } of events) {
    switch (event.case) {
      case "accepted":
        console.log(`comparison ${event.value.comparisonId}`);
        break;
      case "profiled":
        console.log(`profiled ${event.value.modelName}`);
        break;
      case "chosen":
        console.log(`recommended ${nameOf(event.value.recommended)}: ${event.value.reason}`);
        break;
      case "strategyMeasured": {
        const { strategy, round, performance } = event.value;
        console.log(`round ${round + 1}: ${nameOf(strategy)} took ${performance?.latencyMs.toFixed(1)} ms`);
        break;
      }
      case "completed":
        result = event.value;
        break;
      case "failed":
        throw new Error(event.value.message);
    }
  }
  if (!result) {
    throw new Error("the stream ended without a result");
  }
  print(result);
}

const session = new Http2SessionManager(`http://${target}`);
try {
  await main(session);
} catch (error) {
  const known = error instanceof ConnectError ? `${Code[error.code]}: ${error.rawMessage}` : String(error);
  console.error(known);
  process.exitCode = 1;
} finally {
  session.abort(); // an open session keeps the process alive
}
