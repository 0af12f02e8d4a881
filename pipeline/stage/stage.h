#pragma once

#include <memory>
#include <optional>
#include <utility>

namespace lv {

/// A pull stream. next() blocks until a value is ready; nullopt is the end, for good.
/// To cancel, stop pulling and destroy it. Not thread-safe.
template <class T>
class Source {
 public:
  virtual ~Source() = default;
  virtual std::optional<T> next() = 0;
};

template <class T>
using SourcePtr = std::unique_ptr<Source<T>>;

/// Turns one stream into another. Immutable and shared by concurrent runs: whatever a run must
/// remember lives in the Source that start() returns. A stage outlives its sources.
template <class In, class Out>
class Stage {
 public:
  virtual ~Stage() = default;
  virtual SourcePtr<Out> start(SourcePtr<In> input) const = 0;
};

template <class In, class Out>
using StagePtr = std::shared_ptr<const Stage<In, Out>>;

/// The common case: one value in, one value out, nothing remembered.
template <class In, class Out>
class MapStage : public Stage<In, Out> {
 public:
  virtual Out map(In input) const = 0;

  SourcePtr<Out> start(SourcePtr<In> input) const final {
    return std::make_unique<Mapped>(*this, std::move(input));
  }

 private:
  class Mapped : public Source<Out> {
   public:
    Mapped(const MapStage& stage, SourcePtr<In> input) : stage_(stage), input_(std::move(input)) {}
    std::optional<Out> next() override {
      auto value = input_->next();
      if (!value) return std::nullopt;
      return stage_.map(std::move(*value));
    }

   private:
    const MapStage& stage_;
    SourcePtr<In> input_;
  };
};

/// `first`, then `second`, as one stage that keeps both alive.
template <class A, class B, class C>
StagePtr<A, C> then(StagePtr<A, B> first, StagePtr<B, C> second) {
  class Both : public Stage<A, C> {
   public:
    Both(StagePtr<A, B> f, StagePtr<B, C> s) : first_(std::move(f)), second_(std::move(s)) {}
    SourcePtr<C> start(SourcePtr<A> input) const override {
      return second_->start(first_->start(std::move(input)));
    }

   private:
    StagePtr<A, B> first_;
    StagePtr<B, C> second_;
  };
  return std::make_shared<Both>(std::move(first), std::move(second));
}

}  // namespace lv
