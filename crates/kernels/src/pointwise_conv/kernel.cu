// What follows a product: bias, residual, activation, in place. One thread for each four channels of a pixel.

struct FinishParameters {
    float4 *values;         // [pixels, channels], the product, replaced
    const float4 *bias;     // [channels]
    const float4 *residual; // like values, or null
    uint threads;
    uint quarter; // channels / 4
    uint activation;
    uint residual_first; // 1: before the activation, 0: after it
};
static_assert(sizeof(FinishParameters) == 40, "as in cuda.rs");

static __device__ inline float finish_one(float value, float bias, float residual, uint activation, uint first) {
    value += bias;
    if (first) value += residual;
    value = activate(value, activation);
    return first ? value : value + residual;
}

extern "C" __global__ void finish(FinishParameters p) {
    uint thread = THREAD();
    if (thread >= p.threads) return;
    float4 value = p.values[thread];
    float4 bias = p.bias[thread % p.quarter];
    float4 residual = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    if (p.residual) residual = p.residual[thread];
    value.x = finish_one(value.x, bias.x, residual.x, p.activation, p.residual_first);
    value.y = finish_one(value.y, bias.y, residual.y, p.activation, p.residual_first);
    value.z = finish_one(value.z, bias.z, residual.z, p.activation, p.residual_first);
    value.w = finish_one(value.w, bias.w, residual.w, p.activation, p.residual_first);
    p.values[thread] = value;
}
