// What a kernel's text needs to be compiled as C++ and run on the processor: the words of CUDA, and a grid in loops.
//
// Threads run one after the other, in either order, so that a result that depends on the order shows. Where threads of a
// block wait for one another each is a fiber: a barrier goes on to the next thread until all have arrived.
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <ucontext.h>

using std::fmax;

#define __global__
#define __device__
#define __shared__ static

namespace emulation {
struct Place {
    unsigned x;
};
static Place block_index, block_size, thread_index;

struct alignas(16) Four {
    float x, y, z, w;
};

static const unsigned MOST_THREADS = 1024;
static const size_t STACK = 64 * 1024;
static ucontext_t scheduler;
static ucontext_t fibers[MOST_THREADS];
static char *stacks;
static bool arrived[MOST_THREADS];
static bool in_fiber;
static void (*body)(const void *);
static const void *body_parameters;
static bool failed;

static void wait() {
    if (!in_fiber) {
        failed = true; // a barrier in a kernel whose threads work alone
        return;
    }
    unsigned thread = thread_index.x;
    arrived[thread] = true;
    swapcontext(&fibers[thread], &scheduler);
}

static void start() { body(body_parameters); }

static void run_fibers(unsigned threads, bool backward) {
    if (!stacks) stacks = (char *)malloc(STACK * MOST_THREADS);
    for (unsigned thread = 0; thread < threads; thread++) {
        getcontext(&fibers[thread]);
        fibers[thread].uc_stack.ss_sp = stacks + thread * STACK;
        fibers[thread].uc_stack.ss_size = STACK;
        fibers[thread].uc_link = &scheduler;
        makecontext(&fibers[thread], start, 0);
    }
    in_fiber = true;
    for (bool going = true; going;) {
        unsigned waiting = 0;
        for (unsigned at = 0; at < threads; at++) {
            unsigned thread = backward ? threads - 1 - at : at;
            thread_index.x = thread;
            arrived[thread] = false;
            swapcontext(&scheduler, &fibers[thread]);
            waiting += arrived[thread];
        }
        // All threads of a block come to the same barriers.
        if (waiting != 0 && waiting != threads) {
            failed = true;
            break;
        }
        going = waiting != 0;
    }
    in_fiber = false;
}

// 0 when all went well.
static int run(void (*kernel)(const void *), const void *parameters, unsigned blocks, unsigned threads, int waits, int backward) {
    failed = false;
    body = kernel;
    body_parameters = parameters;
    block_size.x = threads;
    for (unsigned at = 0; at < blocks; at++) {
        block_index.x = backward ? blocks - 1 - at : at;
        if (waits) {
            run_fibers(threads, backward);
        } else {
            for (unsigned thread = 0; thread < threads; thread++) {
                thread_index.x = backward ? threads - 1 - thread : thread;
                kernel(parameters);
            }
        }
    }
    return failed;
}
} // namespace emulation

using float4 = emulation::Four;
static inline float4 make_float4(float x, float y, float z, float w) { return float4{x, y, z, w}; }
#define blockIdx emulation::block_index
#define blockDim emulation::block_size
#define threadIdx emulation::thread_index
#define __syncthreads() emulation::wait()
// The compiler is told not to contract products and sums.
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fadd_rn(float a, float b) { return a + b; }

#define ENTRY(kernel, parameters_type)                                                                                 \
    extern "C" int emulate_##kernel(const void *parameters, unsigned blocks, unsigned threads, int waits,              \
                                    int backward) {                                                                    \
        auto body = [](const void *p) { kernel(*(const parameters_type *)p); };                                        \
        return emulation::run(body, parameters, blocks, threads, waits, backward);                                     \
    }
