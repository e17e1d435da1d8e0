// Rows that share a step: one thread for each value that is written.

struct GatherParameters {
    const float *table; // [steps, columns]
    const uint *index;  // [rows]
    float *output;      // [rows, columns]
    uint threads;
    uint columns;
};
static_assert(sizeof(GatherParameters) == 32, "as in cuda.rs");

extern "C" __global__ void gather_steps(GatherParameters p) {
    uint thread = THREAD();
    if (thread >= p.threads) return;
    uint column = thread % p.columns;
    p.output[thread] = p.table[p.index[thread / p.columns] * p.columns + column];
}

struct StepSumsParameters {
    const float *values; // [rows, columns]
    const uint *order;   // [rows]: rows by their step
    const uint *starts;  // [steps + 1]: where each step's rows begin there
    float *output;       // [steps, columns]
    uint threads;
    uint columns;
};
static_assert(sizeof(StepSumsParameters) == 40, "as in cuda.rs");

extern "C" __global__ void step_sums(StepSumsParameters p) {
    uint thread = THREAD();
    if (thread >= p.threads) return;
    uint column = thread % p.columns;
    uint step = thread / p.columns;
    float sum = 0.0f;
    for (uint at = p.starts[step]; at < p.starts[step + 1]; at++) sum += p.values[p.order[at] * p.columns + column];
    p.output[thread] = sum;
}
