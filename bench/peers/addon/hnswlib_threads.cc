// hnswlib as fast as its own library goes from JavaScript: batches of typed arrays, several
// threads, compiled for this machine. The headers are those that hnswlib-node ships.
#include <napi.h>

#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "hnswlib/hnswlib.h"

namespace {

// Runs `work(row)` for each row on the given count of threads, and throws what the first one threw.
template <typename Work>
void ForEachRow(size_t rows, size_t threads, const Work& work) {
  std::atomic<size_t> next{0};
  std::exception_ptr failure;
  std::mutex failure_lock;
  const auto lane = [&] {
    try {
      for (size_t row = next++; row < rows; row = next++) work(row);
    } catch (...) {
      const std::lock_guard<std::mutex> guard(failure_lock);
      failure = std::current_exception();
      next = rows;
    }
  };
  std::vector<std::thread> others;
  for (size_t lanes = 1; lanes < threads; lanes++) others.emplace_back(lane);
  lane();
  for (auto& other : others) other.join();
  if (failure) std::rethrow_exception(failure);
}

// An index of vectors of unit length under the inner product.
class ThreadedIndex : public Napi::ObjectWrap<ThreadedIndex> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "ThreadedIndex",
                       {InstanceMethod("add", &ThreadedIndex::Add),
                        InstanceMethod("setEf", &ThreadedIndex::SetEf),
                        InstanceMethod("search", &ThreadedIndex::Search)});
  }

  // (dimension, capacity, m, efConstruction)
  explicit ThreadedIndex(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<ThreadedIndex>(info),
        dimension_(info[0].As<Napi::Number>().Uint32Value()),
        space_(dimension_) {
    graph_ = std::make_unique<hnswlib::HierarchicalNSW<float>>(
        &space_, info[1].As<Napi::Number>().Uint32Value(),
        info[2].As<Napi::Number>().Uint32Value(), info[3].As<Napi::Number>().Uint32Value());
  }

 private:
  // (firstLabel, vectors: Float32Array, threads): rows end to end, labels counted upwards
  void Add(const Napi::CallbackInfo& info) {
    const size_t first = info[0].As<Napi::Number>().Uint32Value();
    const auto vectors = info[1].As<Napi::Float32Array>();
    const size_t threads = info[2].As<Napi::Number>().Uint32Value();
    const float* data = vectors.Data();
    Guarded(info.Env(), [&] {
      ForEachRow(vectors.ElementLength() / dimension_, threads, [&](size_t row) {
        graph_->addPoint(data + row * dimension_, first + row);
      });
    });
  }

  void SetEf(const Napi::CallbackInfo& info) {
    graph_->setEf(info[0].As<Napi::Number>().Uint32Value());
  }

  // (queries: Float32Array, k, threads) -> Int32Array of k labels a query, nearest first, -1 = none
  Napi::Value Search(const Napi::CallbackInfo& info) {
    const auto queries = info[0].As<Napi::Float32Array>();
    const size_t k = info[1].As<Napi::Number>().Uint32Value();
    const size_t threads = info[2].As<Napi::Number>().Uint32Value();
    const float* data = queries.Data();
    const size_t count = queries.ElementLength() / dimension_;
    auto labels = Napi::Int32Array::New(info.Env(), count * k);
    int32_t* out = labels.Data();
    Guarded(info.Env(), [&] {
      ForEachRow(count, threads, [&](size_t query) {
        auto found = graph_->searchKnn(data + query * dimension_, k);
        for (size_t rank = k; rank-- > 0;) {
          const bool filled = rank < found.size();
          out[query * k + rank] = filled ? static_cast<int32_t>(found.top().second) : -1;
          if (filled) found.pop();
        }
      });
    });
    return labels;
  }

  template <typename Work>
  static void Guarded(Napi::Env env, const Work& work) {
    try {
      work();
    } catch (const std::exception& error) {
      throw Napi::Error::New(env, error.what());
    }
  }

  size_t dimension_;
  hnswlib::InnerProductSpace space_;
  std::unique_ptr<hnswlib::HierarchicalNSW<float>> graph_;
};

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("ThreadedIndex", ThreadedIndex::Define(env));
  return exports;
}

}  // namespace

NODE_API_MODULE(hnswlib_threads, Init)
