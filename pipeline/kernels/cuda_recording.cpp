#include <ATen/ATen.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <cuda_runtime_api.h>

#include <exception>

#include "pipeline/base/cancellation.h"
#include "pipeline/base/error.h"
#include "pipeline/kernels/recording.h"

namespace lv {
namespace {

namespace allocator = c10::cuda::CUDACachingAllocator;

void cuda_check(cudaError_t code, const char* doing) {
  TORCH_CHECK(code == cudaSuccess, doing, ": ", cudaGetErrorString(code));
}

/// LibTorch's own CUDAGraph leaves its random numbers unusable where a step cannot be recorded;
/// this leaves everything as it was.
class CudaRecording : public Recording {
 public:
  /// Throws what `compute` throws, and c10::Error if a step of it cannot be recorded.
  CudaRecording(const Compute& compute, const at::Tensor& example) : input_(example.clone()) {
    at::cuda::getCurrentCUDAStream(input_.device().index()).synchronize();  // the example is there
    const at::cuda::CUDAStream stream = at::cuda::getStreamFromPool(false, input_.device().index());
    const c10::cuda::CUDAStreamGuard guard(stream);
    compute(input_);  // loads libraries and picks algorithms, which cannot be recorded
    stream.synchronize();
    const cudaGraph_t graph = recorded(compute, stream);
    const cudaError_t code = cudaGraphInstantiate(&replay_, graph, 0);
    cudaGraphDestroy(graph);
    if (code != cudaSuccess) release();
    cuda_check(code, "cudaGraphInstantiate");
  }

  ~CudaRecording() override {
    cudaGraphExecDestroy(replay_);
    release();
  }

  const std::vector<at::Tensor>& run(const at::Tensor& input) override {
    input_.copy_(input);
    const auto stream = at::cuda::getCurrentCUDAStream(input_.device().index());
    cuda_check(cudaGraphLaunch(replay_, stream), "cudaGraphLaunch");
    return outputs_;
  }

 private:
  /// What `compute` puts on the stream. Its memory comes from a pool of its own.
  cudaGraph_t recorded(const Compute& compute, const at::cuda::CUDAStream& stream) {
    const cudaStream_t own = stream;
    allocator::beginAllocateToPool(input_.device().index(), pool_,
                                   [own](cudaStream_t asked) { return asked == own; });
    std::exception_ptr problem;
    cudaGraph_t graph = nullptr;
    // Other threads may go on with their own work meanwhile.
    cudaError_t code = cudaStreamBeginCapture(own, cudaStreamCaptureModeThreadLocal);
    if (code == cudaSuccess) {
      try {
        outputs_ = compute(input_);
      } catch (...) {
        problem = std::current_exception();
      }
      code = cudaStreamEndCapture(own, &graph);
    }
    cudaGetLastError();  // what broke a recording is told here, not to the next kernel
    allocator::endAllocateToPool(input_.device().index(), pool_);
    if (!problem && code == cudaSuccess) return graph;
    if (graph != nullptr) cudaGraphDestroy(graph);
    release();
    if (problem) std::rethrow_exception(problem);
    cuda_check(code, "cudaStreamEndCapture");
    return nullptr;
  }

  void release() {
    outputs_.clear();
    allocator::releasePool(input_.device().index(), pool_);
  }

  at::Tensor input_;
  std::vector<at::Tensor> outputs_;
  const at::cuda::MempoolId_t pool_ = at::cuda::graph_pool_handle();
  cudaGraphExec_t replay_ = nullptr;
};

}  // namespace

std::unique_ptr<Recording> record(const Recording::Compute& compute, const at::Tensor& example) {
  if (!example.is_cuda()) return nullptr;
  try {
    return std::make_unique<CudaRecording>(compute, example);
  } catch (const Error&) {
    throw;  // a cancelled request, a wrong input
  } catch (const c10::Error&) {
    return nullptr;
  }
}

}  // namespace lv
