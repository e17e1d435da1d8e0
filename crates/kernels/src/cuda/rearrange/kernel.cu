// Values moved and converted: one thread for each value written.

struct ImageParameters {
    const void *input; // pixels: unsigned char [images, pixels, 3]; planes: float [images, 3, pixels]
    float *output;     // [images, pixels, 3]
    uint threads;
    uint pixels;
    float factor_0, factor_1, factor_2;
    float shift_0, shift_1, shift_2;
};
static_assert(sizeof(ImageParameters) == 48, "as in mod.rs");

// normalised = pixel * factor + shift, rounded twice as on the processor.
extern "C" __global__ void normalise(ImageParameters p) {
    uint thread = THREAD();
    if (thread >= p.threads) return;
    uint channel = thread % 3;
    float factor = channel == 0 ? p.factor_0 : channel == 1 ? p.factor_1 : p.factor_2;
    float shift = channel == 0 ? p.shift_0 : channel == 1 ? p.shift_1 : p.shift_2;
    float value = (float)((const unsigned char *)p.input)[thread];
    p.output[thread] = __fadd_rn(__fmul_rn(value, factor), shift);
}

extern "C" __global__ void interleave(ImageParameters p) {
    uint thread = THREAD();
    if (thread >= p.threads) return;
    uint channel = thread % 3;
    uint pixel = thread / 3 % p.pixels;
    uint image = thread / 3 / p.pixels;
    p.output[thread] = ((const float *)p.input)[(image * 3 + channel) * p.pixels + pixel];
}

struct CopyParameters {
    const float *input; // [pixels, input_stride]
    float *output;      // [pixels, output_stride]
    uint threads;
    uint channels, input_stride, output_stride;
    uint start; // the first channel written
    uint unused;
};
static_assert(sizeof(CopyParameters) == 40, "as in mod.rs");

extern "C" __global__ void copy_channels(CopyParameters p) {
    uint thread = THREAD();
    if (thread >= p.threads) return;
    uint channel = thread % p.channels;
    uint pixel = thread / p.channels;
    p.output[pixel * p.output_stride + p.start + channel] = p.input[pixel * p.input_stride + channel];
}

struct SubsampleParameters {
    const float *input; // [batch, height, width, input_stride]
    float *output;      // [batch, rows, columns, output_stride]
    uint threads;
    uint height, width, rows, columns;
    uint channels, input_stride, output_stride;
    uint stride, around;
};
static_assert(sizeof(SubsampleParameters) == 56, "as in mod.rs");

extern "C" __global__ void subsample(SubsampleParameters p) {
    uint thread = THREAD();
    if (thread >= p.threads) return;
    uint channel = thread % p.output_stride;
    uint pixel = thread / p.output_stride;
    uint x = pixel % p.columns * p.stride;
    uint y = pixel / p.columns % p.rows * p.stride;
    uint image = pixel / p.columns / p.rows;
    uint from = channel - p.around;
    float value = 0.0f;
    if (from < p.channels) value = p.input[((image * p.height + y) * p.width + x) * p.input_stride + from];
    p.output[thread] = value;
}

struct TokenParameters {
    const float *input; // [batch, tokens - 1, stride]
    const float *table; // [tokens, width]: the class token with its position, then the positions
    float *output;      // [batch, tokens, stride]
    uint threads;
    uint tokens, width, stride;
};
static_assert(sizeof(TokenParameters) == 40, "as in mod.rs");

extern "C" __global__ void tokens(TokenParameters p) {
    uint thread = THREAD();
    if (thread >= p.threads) return;
    uint channel = thread % p.width;
    uint token = thread / p.width % p.tokens;
    uint image = thread / p.width / p.tokens;
    float value = p.table[token * p.width + channel];
    if (token > 0) value += p.input[(image * (p.tokens - 1) + token - 1) * p.stride + channel];
    p.output[(image * p.tokens + token) * p.stride + channel] = value;
}
