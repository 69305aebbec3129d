// The part of ONNX Runtime's C++ API that infer.cpp uses, for tests on machines without its headers. A "model" is a file
// of float32 logits; a run writes its input to the file that INPUT_FILE names, and returns these logits.

#pragma once

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

enum OrtLoggingLevel { ORT_LOGGING_LEVEL_WARNING };
enum OrtAllocatorType { OrtArenaAllocator };
enum OrtMemType { OrtMemTypeDefault };

namespace Ort {

struct Env {
    Env(OrtLoggingLevel, const char*) {}
};

struct SessionOptions {
    SessionOptions& SetIntraOpNumThreads(int) { return *this; }
};

struct RunOptions {
    explicit RunOptions(std::nullptr_t) {}
};

struct MemoryInfo {
    static MemoryInfo CreateCpu(OrtAllocatorType, OrtMemType) { return {}; }
};

struct TensorTypeAndShapeInfo {
    std::vector<std::int64_t> GetShape() const { return {-1, 1, 1, 1}; }
};

struct TypeInfo {
    TensorTypeAndShapeInfo GetTensorTypeAndShapeInfo() const { return {}; }
};

struct Value {
    std::vector<float> numbers;

    template <typename T>
    static Value CreateTensor(const MemoryInfo&, T* data, std::size_t count, const std::int64_t*, std::size_t) {
        return {{data, data + count}};
    }
    template <typename T>
    const T* GetTensorData() const {
        return numbers.data();
    }
};

struct Session {
    std::vector<float> logits;

    Session(Env&, const char* path, const SessionOptions&) {
        std::ifstream file(path, std::ios::binary);
        const std::string data{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
        const auto* first = reinterpret_cast<const float*>(data.data());
        logits.assign(first, first + data.size() / sizeof(float));
    }
    TypeInfo GetInputTypeInfo(std::size_t) const { return {}; }
    std::vector<Value> Run(const RunOptions&, const char* const*, const Value* values, std::size_t, const char* const*,
                           std::size_t) {
        std::ofstream file(std::getenv("INPUT_FILE"), std::ios::binary);
        const std::vector<float>& input = values[0].numbers;
        file.write(reinterpret_cast<const char*>(input.data()), static_cast<std::streamsize>(input.size() * sizeof(float)));
        return {{logits}};
    }
};

}  // namespace Ort
