// Mean squared error and its gradient: a block of threads for each row, then one block for the rows' sums.

struct SquaredLossParameters {
    float *prediction;   // [rows, columns], replaced by the gradient
    const float *bias;   // [columns]
    const float *target; // [rows, columns]
    double *sums;        // [rows]
    double *loss;        // [1]
    double count;        // elements of the whole step
    uint rows, columns;
    float factor;    // 2 / count
    uint accumulate; // whether the loss is added to what is there
};
static_assert(sizeof(SquaredLossParameters) == 64, "as in cuda.rs");

extern "C" __global__ void squared_loss(SquaredLossParameters p) {
    __shared__ double sums[ROW_BLOCK];
    float *row = p.prediction + blockIdx.x * p.columns;
    const float *target = p.target + blockIdx.x * p.columns;
    double sum = 0.0;
    for (uint at = threadIdx.x; at < p.columns; at += ROW_BLOCK) {
        float difference = __fadd_rn(__fadd_rn(row[at], p.bias[at]), -target[at]);
        sum += (double)difference * (double)difference;
        row[at] = p.factor * difference;
    }
    sum = add_up(sums, sum);
    if (threadIdx.x == 0) p.sums[blockIdx.x] = sum;
}

extern "C" __global__ void squared_loss_total(SquaredLossParameters p) {
    __shared__ double sums[ROW_BLOCK];
    double sum = 0.0;
    for (uint row = threadIdx.x; row < p.rows; row += ROW_BLOCK) sum += p.sums[row];
    sum = add_up(sums, sum) / p.count;
    if (threadIdx.x == 0) *p.loss = p.accumulate ? *p.loss + sum : sum;
}
