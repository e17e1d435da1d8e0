// What all kernels share. NVRTC compiles this with each folder's kernel.cu behind it; tests compile the same text as C++.

typedef unsigned int uint;

// The place of a thread that works alone; grids stay below 2^31 threads.
#define THREAD() (blockIdx.x * blockDim.x + threadIdx.x)

// Codes as in cuda/gpu.rs. NaN stays NaN, as on the processor.
static __device__ inline float activate(float x, uint activation) {
    switch (activation) {
    case 1: return x < 0.0f ? 0.0f : x;
    case 2: return x < 0.0f ? 0.0f : (x > 6.0f ? 6.0f : x);
    case 3: return x / (1.0f + expf(-x));
    case 4: return 1.0f / (1.0f + expf(-x));
    case 5: return 0.5f * x * erfcf(-0.70710678f * x);
    default: return x;
    }
}

// Threads of a block that works on one row.
#define ROW_BLOCK 128

// The sum of all threads' values, given to all of them; `shared` has ROW_BLOCK elements and may be used again afterwards.
static __device__ inline float add_up(float *shared, float value) {
    shared[threadIdx.x] = value;
    __syncthreads();
    for (uint half = ROW_BLOCK / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) shared[threadIdx.x] += shared[threadIdx.x + half];
        __syncthreads();
    }
    float sum = shared[0];
    __syncthreads();
    return sum;
}

static __device__ inline double add_up(double *shared, double value) {
    shared[threadIdx.x] = value;
    __syncthreads();
    for (uint half = ROW_BLOCK / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) shared[threadIdx.x] += shared[threadIdx.x + half];
        __syncthreads();
    }
    double sum = shared[0];
    __syncthreads();
    return sum;
}

// The largest of all threads' values, likewise.
static __device__ inline float largest_of(float *shared, float value) {
    shared[threadIdx.x] = value;
    __syncthreads();
    for (uint half = ROW_BLOCK / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) shared[threadIdx.x] = fmaxf(shared[threadIdx.x], shared[threadIdx.x + half]);
        __syncthreads();
    }
    float largest = shared[0];
    __syncthreads();
    return largest;
}

// Philox4x32-10 (base/src/philox.rs): four random words for a counter and a key.
struct Words {
    uint word[4];
};

static __device__ inline Words philox(unsigned long long block, uint id_0, uint id_1, uint key_0, uint key_1) {
    uint x_0 = (uint)block, x_1 = (uint)(block >> 32), x_2 = id_0, x_3 = id_1;
    for (uint round = 0; round < 10; round++) {
        if (round > 0) {
            key_0 += 0x9E3779B9u;
            key_1 += 0xBB67AE85u;
        }
        unsigned long long a = 0xD2511F53ull * x_0;
        unsigned long long b = 0xCD9E8D57ull * x_2;
        x_0 = (uint)(b >> 32) ^ x_1 ^ key_0;
        x_1 = (uint)b;
        x_2 = (uint)(a >> 32) ^ x_3 ^ key_1;
        x_3 = (uint)a;
    }
    Words words;
    words.word[0] = x_0;
    words.word[1] = x_1;
    words.word[2] = x_2;
    words.word[3] = x_3;
    return words;
}
