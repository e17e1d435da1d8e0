// What a dense layer needs besides its product: one thread for each value, or each column of a part of the rows.

struct ValuesParameters {
    const float *input; // [threads]
    float *output;      // [threads]; for the gradient the output's, replaced by the input's
    uint threads;
    uint unused;
};
static_assert(sizeof(ValuesParameters) == 24, "as in cuda.rs");

extern "C" __global__ void silu(ValuesParameters p) {
    uint thread = THREAD();
    if (thread >= p.threads) return;
    float x = p.input[thread];
    p.output[thread] = x / (1.0f + expf(-x));
}

extern "C" __global__ void silu_gradient(ValuesParameters p) {
    uint thread = THREAD();
    if (thread >= p.threads) return;
    float x = p.input[thread];
    float s = 1.0f / (1.0f + expf(-x));
    p.output[thread] *= s * (1.0f + x * (1.0f - s));
}

struct AddBiasParameters {
    float *product;        // [rows, columns], in place
    const float *bias;     // [columns]
    const float *residual; // [rows, columns] or null
    uint threads;
    uint columns;
};
static_assert(sizeof(AddBiasParameters) == 32, "as in cuda.rs");

extern "C" __global__ void add_bias(AddBiasParameters p) {
    uint thread = THREAD();
    if (thread >= p.threads) return;
    float value = p.product[thread];
    if (p.residual) value += p.residual[thread];
    p.product[thread] = value + p.bias[thread % p.columns];
}

struct ColumnParameters {
    const float *input; // [rows, columns]; for the second step [parts, columns]
    float *output;      // [parts, columns]; for the second step [columns]
    uint threads;
    uint rows, columns;
    uint rows_per_part;
    uint accumulate; // whether the second step adds to what the output holds
    uint unused;
};
static_assert(sizeof(ColumnParameters) == 40, "as in cuda.rs");

// The sum of each column over the rows of a part.
extern "C" __global__ void column_parts(ColumnParameters p) {
    uint thread = THREAD();
    if (thread >= p.threads) return;
    uint column = thread % p.columns;
    uint first = thread / p.columns * p.rows_per_part;
    uint end = first + p.rows_per_part < p.rows ? first + p.rows_per_part : p.rows;
    float sum = 0.0f;
    for (uint row = first; row < end; row++) sum += p.input[row * p.columns + column];
    p.output[thread] = sum;
}

// The parts' sums, added in order.
extern "C" __global__ void column_total(ColumnParameters p) {
    uint thread = THREAD();
    if (thread >= p.threads) return;
    float sum = 0.0f;
    for (uint part = 0; part < p.rows; part++) sum += p.input[part * p.columns + thread];
    p.output[thread] = p.accumulate ? p.output[thread] + sum : sum;
}
