// Softmax of the rows of scores, in place: a block of threads for each row.

struct SoftmaxParameters {
    float *scores; // [rows, width]
    uint rows, width;
};
static_assert(sizeof(SoftmaxParameters) == 16, "as in cuda.rs");

extern "C" __global__ void softmax(SoftmaxParameters p) {
    __shared__ float shared[ROW_BLOCK];
    float *row = p.scores + blockIdx.x * p.width;
    // Every row has at least one score; threads without one repeat the first.
    float largest = row[0];
    for (uint at = threadIdx.x; at < p.width; at += ROW_BLOCK) largest = fmaxf(largest, row[at]);
    largest = largest_of(shared, largest);
    float sum = 0.0f;
    for (uint at = threadIdx.x; at < p.width; at += ROW_BLOCK) {
        float power = expf(row[at] - largest);
        row[at] = power;
        sum += power;
    }
    float scale = 1.0f / add_up(shared, sum);
    for (uint at = threadIdx.x; at < p.width; at += ROW_BLOCK) row[at] *= scale;
}
