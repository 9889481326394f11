// The part of the Web Neural Network API that lanes use (https://www.w3.org/TR/webnn/).

type MLOperandDataType = "float32" | "float16" | "int32" | "uint32" | "int64" | "uint64" | "int8" | "uint8";

interface MLTensor {
  destroy(): void;
}

interface MLContext {
  createTensor(descriptor: {
    dataType: MLOperandDataType;
    shape: readonly number[];
    readable?: boolean;
    writable?: boolean;
  }): Promise<MLTensor>;
  writeTensor(tensor: MLTensor, data: Uint8Array): void;
  readTensor(tensor: MLTensor): Promise<ArrayBuffer>;
}

interface ML {
  createContext(options: { deviceType: "cpu" | "gpu" | "npu" }): Promise<MLContext>;
}
