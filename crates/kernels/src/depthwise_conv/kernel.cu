// Depthwise convolution with bias and activation: one thread computes four channels of one output pixel.

struct DepthwiseParameters {
    const float4 *input;   // [batch, height, width, channels]
    const float4 *weights; // [size * size, channels]
    const float4 *bias;    // [channels]
    float4 *output;        // [batch, rows, columns, channels]
    uint threads;
    uint height, width, rows, columns;
    uint quarter; // channels / 4
    uint size, stride, top, left;
    uint activation;
    uint unused;
};
static_assert(sizeof(DepthwiseParameters) == 80, "as in cuda.rs");

extern "C" __global__ void depthwise(DepthwiseParameters p) {
    uint thread = THREAD();
    if (thread >= p.threads) return;
    uint channel = thread % p.quarter;
    uint pixel = thread / p.quarter;
    uint x = pixel % p.columns;
    uint y = pixel / p.columns % p.rows;
    uint image = pixel / p.columns / p.rows;
    float4 sum = p.bias[channel];
    for (uint ky = 0; ky < p.size; ky++) {
        // Rows above the image wrap around to large numbers.
        uint from_y = y * p.stride + ky - p.top;
        if (from_y >= p.height) continue;
        for (uint kx = 0; kx < p.size; kx++) {
            uint from_x = x * p.stride + kx - p.left;
            if (from_x >= p.width) continue;
            float4 value = p.input[((image * p.height + from_y) * p.width + from_x) * p.quarter + channel];
            float4 weight = p.weights[(ky * p.size + kx) * p.quarter + channel];
            sum.x = fmaf(value.x, weight.x, sum.x);
            sum.y = fmaf(value.y, weight.y, sum.y);
            sum.z = fmaf(value.z, weight.z, sum.z);
            sum.w = fmaf(value.w, weight.w, sum.w);
        }
    }
    sum.x = activate(sum.x, p.activation);
    sum.y = activate(sum.y, p.activation);
    sum.z = activate(sum.z, p.activation);
    sum.w = activate(sum.w, p.activation);
    p.output[thread] = sum;
}
