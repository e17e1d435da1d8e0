// A factor and a shift for each channel, then an activation: one thread for each channel of a pixel.

struct AffineParameters {
    const float *input;  // [pixels, input_stride]
    const float *factor; // [channels]
    const float *shift;  // [channels]
    float *output;       // [pixels, output_stride]
    uint threads;
    uint channels, input_stride, output_stride;
    uint activation;
    uint unused;
};
static_assert(sizeof(AffineParameters) == 56, "as in cuda.rs");

extern "C" __global__ void affine(AffineParameters p) {
    uint thread = THREAD();
    if (thread >= p.threads) return;
    uint channel = thread % p.channels;
    uint pixel = thread / p.channels;
    float value = fmaf(p.input[pixel * p.input_stride + channel], p.factor[channel], p.shift[channel]);
    p.output[pixel * p.output_stride + channel] = activate(value, p.activation);
}
