#include <ATen/ATen.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAGuard.h>

#include "pipeline/base/cancellation.h"
#include "pipeline/base/error.h"
#include "pipeline/kernels/recording.h"

namespace lv {
namespace {

class CudaRecording : public Recording {
 public:
  /// Throws what `compute` throws, and c10::Error if a step of it cannot be recorded.
  CudaRecording(const Compute& compute, const at::Tensor& example) : input_(example.clone()) {
    const at::cuda::CUDAStream caller = at::cuda::getCurrentCUDAStream();
    const at::cuda::CUDAStream stream = at::cuda::getStreamFromPool();
    caller.synchronize();  // the example is there
    {
      const c10::cuda::CUDAStreamGuard guard(stream);
      compute(input_);  // loads libraries and picks algorithms, which cannot be recorded
      stream.synchronize();
      // Other threads may go on with their own work meanwhile.
      graph_.capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
      try {
        outputs_ = compute(input_);
      } catch (...) {
        end_broken();
        throw;
      }
      graph_.capture_end();
    }
    stream.synchronize();
  }

  const std::vector<at::Tensor>& run(const at::Tensor& input) override {
    input_.copy_(input);
    graph_.replay();
    return outputs_;
  }

 private:
  /// A stream that is left in the middle of a recording takes no more work.
  void end_broken() {
    try {
      graph_.capture_end();
    } catch (const c10::Error&) {
      // The first problem is the one to tell.
    }
  }

  at::Tensor input_;
  std::vector<at::Tensor> outputs_;
  at::cuda::CUDAGraph graph_;
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
