// Group norm of one group, then SiLU: a block of threads for each row, whose sums are added as a tree of fixed shape; the
// gradients of weight and bias by one thread for each column of a part of the rows.

struct GroupNormParameters {
    const float *input;    // [rows, width]
    const float *shift;    // [steps, width] or null: added to the input of the rows of a step
    const uint *index;     // [rows] or null: each row's step
    const float *weight;   // [width]
    const float *bias;     // [width]
    const float *gradient; // backward: [rows, width], of the output
    const float *added;    // backward: [rows, width] or null: added to the gradient of the input
    float *output;         // forward: [rows, width]; backward: the gradient of the input; parts: [parts, 2, width]
    float *statistics;     // [rows, 2]: mean, 1 / deviation
    uint threads;
    uint rows, width;
    uint rows_per_part;
    float epsilon;
    uint unused;
};
static_assert(sizeof(GroupNormParameters) == 96, "as in cuda.rs");

static __device__ inline const float *shift_of(const GroupNormParameters &p, uint row) {
    return p.shift ? p.shift + p.index[row] * p.width : nullptr;
}

extern "C" __global__ void group_norm_silu(GroupNormParameters p) {
    __shared__ float sums[ROW_BLOCK];
    uint row = blockIdx.x;
    const float *from = p.input + row * p.width;
    const float *shift = shift_of(p, row);
    float *to = p.output + row * p.width;
    float sum = 0.0f;
    for (uint at = threadIdx.x; at < p.width; at += ROW_BLOCK) sum += shift ? from[at] + shift[at] : from[at];
    float mean = add_up(sums, sum) / (float)p.width;
    float squares = 0.0f;
    for (uint at = threadIdx.x; at < p.width; at += ROW_BLOCK) {
        float difference = (shift ? from[at] + shift[at] : from[at]) - mean;
        squares = fmaf(difference, difference, squares);
    }
    float scale = 1.0f / sqrtf(add_up(sums, squares) / (float)p.width + p.epsilon);
    for (uint at = threadIdx.x; at < p.width; at += ROW_BLOCK) {
        float value = (shift ? from[at] + shift[at] : from[at]) - mean;
        value = fmaf(value * scale, p.weight[at], p.bias[at]);
        to[at] = value / (1.0f + expf(-value));
    }
    if (threadIdx.x == 0) {
        p.statistics[2 * row] = mean;
        p.statistics[2 * row + 1] = scale;
    }
}

// The normalised value at a place, and the gradient of the value before SiLU.
struct Before {
    float normal, gradient;
};

static __device__ inline Before before_silu(const GroupNormParameters &p, uint row, const float *shift, uint at) {
    uint place = row * p.width + at;
    float input = shift ? p.input[place] + shift[at] : p.input[place];
    Before before;
    before.normal = (input - p.statistics[2 * row]) * p.statistics[2 * row + 1];
    float value = fmaf(before.normal, p.weight[at], p.bias[at]);
    float s = 1.0f / (1.0f + expf(-value));
    before.gradient = p.gradient[place] * (s * (1.0f + value * (1.0f - s)));
    return before;
}

extern "C" __global__ void group_norm_silu_gradient(GroupNormParameters p) {
    __shared__ float sums[ROW_BLOCK];
    uint row = blockIdx.x;
    const float *shift = shift_of(p, row);
    float sum = 0.0f, of_products = 0.0f;
    for (uint at = threadIdx.x; at < p.width; at += ROW_BLOCK) {
        Before before = before_silu(p, row, shift, at);
        float gradient = before.gradient * p.weight[at];
        sum += gradient;
        of_products = fmaf(gradient, before.normal, of_products);
    }
    float mean = add_up(sums, sum) / (float)p.width;
    float of_normal = add_up(sums, of_products) / (float)p.width;
    float scale = p.statistics[2 * row + 1];
    for (uint at = threadIdx.x; at < p.width; at += ROW_BLOCK) {
        Before before = before_silu(p, row, shift, at);
        float gradient = scale * (before.gradient * p.weight[at] - mean - before.normal * of_normal);
        uint place = row * p.width + at;
        p.output[place] = p.added ? p.added[place] + gradient : gradient;
    }
}

extern "C" __global__ void group_norm_silu_parts(GroupNormParameters p) {
    uint thread = THREAD();
    if (thread >= p.threads) return;
    uint at = thread % p.width;
    uint part = thread / p.width;
    uint first = part * p.rows_per_part;
    uint end = first + p.rows_per_part < p.rows ? first + p.rows_per_part : p.rows;
    float of_weight = 0.0f, of_bias = 0.0f;
    for (uint row = first; row < end; row++) {
        Before before = before_silu(p, row, shift_of(p, row), at);
        of_weight = fmaf(before.gradient, before.normal, of_weight);
        of_bias += before.gradient;
    }
    p.output[2 * part * p.width + at] = of_weight;
    p.output[(2 * part + 1) * p.width + at] = of_bias;
}
