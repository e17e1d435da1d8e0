// Layer norm: a block of threads for each row; the threads' sums are added as a tree of fixed shape.

struct LayerNormParameters {
    const float *input;  // [rows, input_stride]
    const float *weight; // [width]
    const float *bias;   // [width]
    float *output;       // [rows, output_stride]
    uint rows, width, input_stride, output_stride;
    float epsilon;
    uint unused;
};
static_assert(sizeof(LayerNormParameters) == 56, "as in cuda.rs");

extern "C" __global__ void layer_norm(LayerNormParameters p) {
    __shared__ float sums[ROW_BLOCK];
    const float *from = p.input + blockIdx.x * p.input_stride;
    float *to = p.output + blockIdx.x * p.output_stride;
    float sum = 0.0f;
    for (uint at = threadIdx.x; at < p.width; at += ROW_BLOCK) sum += from[at];
    float mean = add_up(sums, sum) / (float)p.width;
    float squares = 0.0f;
    for (uint at = threadIdx.x; at < p.width; at += ROW_BLOCK) {
        float difference = from[at] - mean;
        squares = fmaf(difference, difference, squares);
    }
    float scale = 1.0f / sqrtf(add_up(sums, squares) / (float)p.width + p.epsilon);
    for (uint at = threadIdx.x; at < p.width; at += ROW_BLOCK) {
        to[at] = fmaf((from[at] - mean) * scale, p.weight[at], p.bias[at]);
    }
}
