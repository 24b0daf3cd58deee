// Runs a CUDA source on the CPU: a thread for each thread of a block, the blocks one after another.
// Shared memory holds rubbish when a block starts, and a block that writes past what it asked for ends the process.
#include <barrier>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __shared__
#define __forceinline__ inline
#define __launch_bounds__(...)

struct Place { unsigned x, y, z; };
static thread_local Place threadIdx, blockIdx, blockDim, gridDim;
static std::barrier<>* within_block;
static void __syncthreads() { within_block->arrive_and_wait(); }

template <class T> T atomicAdd(T* at, T value) { return __atomic_fetch_add(at, value, __ATOMIC_RELAXED); }
template <class T> T atomicMin(T* at, T value)
{
    T seen = __atomic_load_n(at, __ATOMIC_RELAXED);
    while (value < seen && !__atomic_compare_exchange_n(at, &seen, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
    return seen;
}

static const unsigned SHARED_BYTES = 1 << 18, GUARD = 4096;
alignas(16) unsigned long long shared_words[(SHARED_BYTES + GUARD) / 8];

static void between_blocks(unsigned shared)
{
    static const std::vector<unsigned char> guard(GUARD, 0xa5);
    unsigned char* bytes = reinterpret_cast<unsigned char*>(shared_words);
    if (std::memcmp(bytes + shared, guard.data(), GUARD)) {
        std::fputs("a block wrote past its shared memory\n", stderr);
        std::abort();
    }
    std::memset(bytes, 0x5a, shared);
}

template <class... A, std::size_t... I>
void run(void (*kernel)(A...), unsigned grid, unsigned block, unsigned shared, void** args, std::index_sequence<I...>)
{
    std::memset(reinterpret_cast<char*>(shared_words) + shared, 0xa5, GUARD);
    between_blocks(shared);
    std::barrier<> inner(block);
    std::barrier outer(block, [shared]() noexcept { between_blocks(shared); });
    within_block = &inner;
    auto body = [&](unsigned number) {
        threadIdx = {number, 0, 0}, blockDim = {block, 1, 1}, gridDim = {grid, 1, 1};
        for (unsigned b = 0; b < grid; ++b) {
            blockIdx = {b, 0, 0};
            kernel(*static_cast<A*>(args[I])...);
            outer.arrive_and_wait();
        }
    };
    std::vector<std::jthread> threads;
    for (unsigned number = 0; number < block; ++number) threads.emplace_back(body, number);
}

#define EXPORT(name)                                                                                     \
    template <class... A> void run_##name(void (*f)(A...), unsigned g, unsigned b, unsigned s, void** a) \
    { run(f, g, b, s, a, std::index_sequence_for<A...>()); }                                             \
    extern "C" void host_##name(unsigned g, unsigned b, unsigned s, void** a) { run_##name(name, g, b, s, a); }
