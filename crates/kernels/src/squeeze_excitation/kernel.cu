// The gate applied in place: one thread multiplies four channels of one pixel.

struct ScaleParameters {
    float4 *values;     // [batch, pixels, channels]
    const float4 *gate; // [batch, channels]
    uint threads;
    uint pixels;
    uint quarter; // channels / 4
    uint unused;
};
static_assert(sizeof(ScaleParameters) == 32, "as in cuda.rs");

extern "C" __global__ void scale(ScaleParameters p) {
    uint thread = THREAD();
    if (thread >= p.threads) return;
    uint image = thread / p.quarter / p.pixels;
    float4 value = p.values[thread];
    float4 gate = p.gate[image * p.quarter + thread % p.quarter];
    value.x *= gate.x;
    value.y *= gate.y;
    value.z *= gate.z;
    value.w *= gate.w;
    p.values[thread] = value;
}
