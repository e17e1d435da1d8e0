// AdamW and the average of the weights: one thread for four values. The squares of the gradients are summed by blocks, each
// over a part of fixed length, and the parts by one block: always in the same order.

struct AdamwParameters {
    float *parameters;     // [count]
    float *average;        // [count]
    float *first_moment;   // [count]
    float *second_moment;  // [count]
    const float *gradient; // [count]
    const double *guard;   // [2]: the loss, the sum of the gradients' squares
    double most;           // the gradient's greatest length; 0 for none
    uint threads;
    uint count;
    float scale, keep, first, second_keep, second, rate, unbias, epsilon, follow;
    uint unused;
};
static_assert(sizeof(AdamwParameters) == 104, "as in cuda.rs");

static __device__ inline void update(const AdamwParameters &p, float g, float &value, float &average, float &m, float &v) {
    m += p.first * (g - m);
    v = p.second_keep * v + p.second * g * g;
    value = value * p.keep - p.rate * m / (sqrtf(v) * p.unbias + p.epsilon);
    // Exactly the parameters where the average follows at once.
    average = p.follow == 1.0f ? value : average + p.follow * (value - average);
}

extern "C" __global__ void adamw(AdamwParameters p) {
    uint thread = THREAD();
    if (thread >= p.threads) return;
    // A loss that is not finite changes nothing.
    if (!(fabs(p.guard[0]) <= 1.7976931348623157e308)) return;
    float scale = p.scale;
    if (p.most > 0.0) {
        double norm = sqrt(p.guard[1]);
        if (norm > p.most) scale *= (float)(p.most / norm);
    }
    uint at = 4 * thread;
    if (at + 4 <= p.count) {
        float4 g = *(const float4 *)(p.gradient + at);
        float4 value = *(const float4 *)(p.parameters + at), average = *(const float4 *)(p.average + at);
        float4 m = *(const float4 *)(p.first_moment + at), v = *(const float4 *)(p.second_moment + at);
        update(p, scale * g.x, value.x, average.x, m.x, v.x);
        update(p, scale * g.y, value.y, average.y, m.y, v.y);
        update(p, scale * g.z, value.z, average.z, m.z, v.z);
        update(p, scale * g.w, value.w, average.w, m.w, v.w);
        *(float4 *)(p.parameters + at) = value;
        *(float4 *)(p.average + at) = average;
        *(float4 *)(p.first_moment + at) = m;
        *(float4 *)(p.second_moment + at) = v;
        return;
    }
    for (; at < p.count; at++) {
        update(p, scale * p.gradient[at], p.parameters[at], p.average[at], p.first_moment[at], p.second_moment[at]);
    }
}

struct SquaresParameters {
    const float *values; // [count]
    double *parts;       // [parts]
    double *sum;         // [1]
    uint count;
    uint part; // values of a part
    uint parts_count;
    uint unused;
};
static_assert(sizeof(SquaresParameters) == 40, "as in cuda.rs");

extern "C" __global__ void squares_parts(SquaresParameters p) {
    __shared__ double sums[ROW_BLOCK];
    uint first = blockIdx.x * p.part;
    uint end = p.count - first < p.part ? p.count : first + p.part;
    double sum = 0.0;
    for (uint at = first + threadIdx.x; at < end; at += ROW_BLOCK) sum += (double)p.values[at] * (double)p.values[at];
    sum = add_up(sums, sum);
    if (threadIdx.x == 0) p.parts[blockIdx.x] = sum;
}

extern "C" __global__ void squares_total(SquaresParameters p) {
    __shared__ double sums[ROW_BLOCK];
    double sum = 0.0;
    for (uint part = threadIdx.x; part < p.parts_count; part += ROW_BLOCK) sum += p.parts[part];
    sum = add_up(sums, sum);
    if (threadIdx.x == 0) *p.sum = sum;
}
