// Separable weighted pooling in two steps: each row of a map to one value a channel, then the rows to one vector.

struct PoolParameters {
    const float *input;   // columns: [batch, rows, columns, channels]; rows: [batch, rows, channels]
    const float *weights; // [columns] or [rows]
    float *output;        // [batch, rows, channels] or [batch, output_stride]
    uint threads;
    uint length;   // columns or rows: how many are summed
    uint channels; // padded
    uint kept;     // channels written
    uint output_stride;
    uint output_start;
    uint lines; // lines of one image that count
    uint image; // from one image to the next, in elements of the input
    uint skip;  // before an image's first line, in elements of the input
    uint unused;
};
static_assert(sizeof(PoolParameters) == 64, "as in cuda.rs");

// One thread computes one (line, channel) for kept channels; the sum runs in order of the pixels.
extern "C" __global__ void pool(PoolParameters p) {
    uint thread = THREAD();
    if (thread >= p.threads) return;
    uint channel = thread % p.kept;
    uint line = thread / p.kept;
    uint within = line % p.lines * p.length * p.channels;
    const float *from = p.input + line / p.lines * p.image + p.skip + within + channel;
    float sum = 0.0f;
    for (uint at = 0; at < p.length; at++) {
        sum = fmaf(p.weights[at], from[at * p.channels], sum);
    }
    p.output[line * p.output_stride + p.output_start + channel] = sum;
}

struct StatisticParameters {
    const float *input; // [batch, image_pixels, channels], of which the first `skip` pixels are left out
    float *output;      // [batch, output_stride]
    uint threads;
    uint pixels; // that count
    uint image_pixels;
    uint skip;
    uint channels; // padded
    uint kept;     // channels written
    uint output_stride;
    uint output_start;
};
static_assert(sizeof(StatisticParameters) == 48, "as in cuda.rs");

// One thread computes one channel of one image.
extern "C" __global__ void maximum(StatisticParameters p) {
    uint thread = THREAD();
    if (thread >= p.threads) return;
    uint channel = thread % p.kept;
    uint image = thread / p.kept;
    const float *from = p.input + (image * p.image_pixels + p.skip) * p.channels + channel;
    float largest = from[0];
    for (uint at = 1; at < p.pixels; at++) {
        float value = from[at * p.channels];
        if (value > largest) largest = value;
    }
    p.output[image * p.output_stride + p.output_start + channel] = largest;
}

// The deviation about the mean, divided by the number of pixels; two passes.
extern "C" __global__ void deviation(StatisticParameters p) {
    uint thread = THREAD();
    if (thread >= p.threads) return;
    uint channel = thread % p.kept;
    uint image = thread / p.kept;
    const float *from = p.input + (image * p.image_pixels + p.skip) * p.channels + channel;
    float sum = 0.0f;
    for (uint at = 0; at < p.pixels; at++) sum += from[at * p.channels];
    float mean = sum / (float)p.pixels;
    float squares = 0.0f;
    for (uint at = 0; at < p.pixels; at++) {
        float difference = from[at * p.channels] - mean;
        squares = fmaf(difference, difference, squares);
    }
    p.output[image * p.output_stride + p.output_start + channel] = sqrtf(squares / (float)p.pixels);
}
