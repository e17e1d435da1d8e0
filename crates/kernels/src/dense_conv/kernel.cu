// Dense convolution: directly where few channels go in (a stem), else windows unfolded for a product.

struct StemParameters {
    const float *input;   // [batch, height, width, input_stride]
    const float *weights; // [size * size * inputs, channels]
    const float *bias;    // [channels]
    float *output;        // [batch, rows, columns, channels]
    uint threads;
    uint height, width, rows, columns;
    uint inputs, input_stride, channels;
    uint size, stride, top, left;
    uint activation;
    uint unused;
};
static_assert(sizeof(StemParameters) == 88, "as in cuda.rs");

// One thread computes one channel of one output pixel.
extern "C" __global__ void stem(StemParameters p) {
    uint thread = THREAD();
    if (thread >= p.threads) return;
    uint channel = thread % p.channels;
    uint pixel = thread / p.channels;
    uint x = pixel % p.columns;
    uint y = pixel / p.columns % p.rows;
    uint image = pixel / p.columns / p.rows;
    float sum = p.bias[channel];
    for (uint ky = 0; ky < p.size; ky++) {
        // Rows above the image wrap around to large numbers.
        uint from_y = y * p.stride + ky - p.top;
        if (from_y >= p.height) continue;
        for (uint kx = 0; kx < p.size; kx++) {
            uint from_x = x * p.stride + kx - p.left;
            if (from_x >= p.width) continue;
            const float *from = p.input + ((image * p.height + from_y) * p.width + from_x) * p.input_stride;
            const float *weights = p.weights + (ky * p.size + kx) * p.inputs * p.channels + channel;
            for (uint input = 0; input < p.inputs; input++) {
                sum = fmaf(from[input], weights[input * p.channels], sum);
            }
        }
    }
    p.output[thread] = activate(sum, p.activation);
}

struct UnfoldParameters {
    const float *input; // [batch, height, width, input_stride]
    float *windows;     // [pixels of this part, size * size * inputs]
    uint threads;
    uint first; // the first output pixel of this part, counted over the batch
    uint height, width, rows, columns;
    uint inputs, input_stride;
    uint size, stride, top, left;
};
static_assert(sizeof(UnfoldParameters) == 64, "as in cuda.rs");

// One thread copies one element of one window.
extern "C" __global__ void unfold(UnfoldParameters p) {
    uint thread = THREAD();
    if (thread >= p.threads) return;
    uint window = p.size * p.size * p.inputs;
    uint at = thread % window;
    uint pixel = p.first + thread / window;
    uint input = at % p.inputs;
    uint tap = at / p.inputs;
    uint y = pixel / p.columns % p.rows * p.stride + tap / p.size - p.top;
    uint x = pixel % p.columns * p.stride + tap % p.size - p.left;
    uint image = pixel / p.columns / p.rows;
    float value = 0.0f;
    if (y < p.height && x < p.width) {
        value = p.input[((image * p.height + y) * p.width + x) * p.input_stride + input];
    }
    p.windows[thread] = value;
}
