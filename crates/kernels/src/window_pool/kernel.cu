// Maximum or average of windows: one thread for each channel of an output pixel.

struct WindowPoolParameters {
    const float *input; // [batch, height, width, channels]
    float *output;      // [batch, rows, columns, channels]
    uint threads;
    uint height, width, rows, columns, channels;
    uint size, stride, top, left;
    uint average; // 1: the sum by the whole window's size, 0: the maximum; what lies outside counts for neither
    uint unused;
};
static_assert(sizeof(WindowPoolParameters) == 64, "as in cuda.rs");

extern "C" __global__ void window_pool(WindowPoolParameters p) {
    uint thread = THREAD();
    if (thread >= p.threads) return;
    uint channel = thread % p.channels;
    uint pixel = thread / p.channels;
    uint x = pixel % p.columns;
    uint y = pixel / p.columns % p.rows;
    uint image = pixel / p.columns / p.rows;
    float sum = 0.0f;
    float largest = 0.0f;
    uint seen = 0;
    for (uint ky = 0; ky < p.size; ky++) {
        uint from_y = y * p.stride + ky - p.top;
        if (from_y >= p.height) continue;
        for (uint kx = 0; kx < p.size; kx++) {
            uint from_x = x * p.stride + kx - p.left;
            if (from_x >= p.width) continue;
            float value = p.input[((image * p.height + from_y) * p.width + from_x) * p.channels + channel];
            sum += value;
            if (seen == 0 || value > largest) largest = value;
            seen++;
        }
    }
    p.output[thread] = p.average ? sum / (float)(p.size * p.size) : largest;
}
