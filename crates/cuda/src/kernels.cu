// The kernels of lib.rs, compiled when they are first used. A warp has a row, or a row's head, or a column; no kernel adds
// into what another thread adds into, so that the same numbers go in the same order: the same weights, run after run.

#define LANES 32
#define ALL 0xffffffffu
#define LOWEST -3.4e38f

__device__ float warp_sum(float x) {
    for (int offset = LANES / 2; offset; offset /= 2) x += __shfl_xor_sync(ALL, x, offset);
    return x;
}

__device__ float warp_max(float x) {
    for (int offset = LANES / 2; offset; offset /= 2) x = fmaxf(x, __shfl_xor_sync(ALL, x, offset));
    return x;
}

// Four at a time where both lie so.
__device__ float dot(const float* a, const float* b, int size) {
    float sum = 0;
    if (size % 4 == 0 && ((size_t)a | (size_t)b) % 16 == 0) {
        const float4 *a4 = (const float4*)a, *b4 = (const float4*)b;
        for (int i = 0; i < size / 4; i++) {
            float4 x = a4[i], y = b4[i];
            sum += x.x * y.x + x.y * y.y + x.z * y.z + x.w * y.w;
        }
        return sum;
    }
    for (int i = 0; i < size; i++) sum += a[i] * b[i];
    return sum;
}

extern "C" {

// ===== norms: x (rows, width) =====

__global__ void rms_norm(const float* x, const float* weight, float* out, int rows, int width, float eps) {
    int row = blockIdx.x * (blockDim.x / LANES) + threadIdx.x / LANES, lane = threadIdx.x % LANES;
    if (row >= rows) return;
    x += (size_t)row * width, out += (size_t)row * width;
    float square = 0;
    for (int i = lane; i < width; i += LANES) square += x[i] * x[i];
    float root = rsqrtf(warp_sum(square) / width + eps);
    for (int i = lane; i < width; i += LANES) out[i] = x[i] * root * weight[i];
}

// dx, and what the gradient of the weight sums over rows.
__global__ void rms_norm_back(const float* x, const float* weight, const float* dy, float* dx, float* dweight, int rows,
                              int width, float eps) {
    int row = blockIdx.x * (blockDim.x / LANES) + threadIdx.x / LANES, lane = threadIdx.x % LANES;
    if (row >= rows) return;
    size_t start = (size_t)row * width;
    x += start, dy += start, dx += start, dweight += start;
    float square = 0, along = 0;
    for (int i = lane; i < width; i += LANES) {
        square += x[i] * x[i];
        along += weight[i] * dy[i] * x[i];
    }
    float root = rsqrtf(warp_sum(square) / width + eps);
    along = warp_sum(along) * root * root * root / width;
    for (int i = lane; i < width; i += LANES) {
        dx[i] = root * weight[i] * dy[i] - along * x[i];
        dweight[i] = dy[i] * x[i] * root;
    }
}

__global__ void layer_norm(const float* x, const float* weight, const float* bias, float* out, int rows, int width,
                           float eps) {
    int row = blockIdx.x * (blockDim.x / LANES) + threadIdx.x / LANES, lane = threadIdx.x % LANES;
    if (row >= rows) return;
    x += (size_t)row * width, out += (size_t)row * width;
    float sum = 0, square = 0;
    for (int i = lane; i < width; i += LANES) sum += x[i];
    float mean = warp_sum(sum) / width;
    for (int i = lane; i < width; i += LANES) square += (x[i] - mean) * (x[i] - mean);
    float root = rsqrtf(warp_sum(square) / width + eps);
    for (int i = lane; i < width; i += LANES) out[i] = (x[i] - mean) * root * weight[i] + bias[i];
}

__global__ void layer_norm_back(const float* x, const float* weight, const float* dy, float* dx, float* dweight, int rows,
                                int width, float eps) {
    int row = blockIdx.x * (blockDim.x / LANES) + threadIdx.x / LANES, lane = threadIdx.x % LANES;
    if (row >= rows) return;
    size_t start = (size_t)row * width;
    x += start, dy += start, dx += start, dweight += start;
    float sum = 0, square = 0, total = 0, along = 0;
    for (int i = lane; i < width; i += LANES) sum += x[i];
    float mean = warp_sum(sum) / width;
    for (int i = lane; i < width; i += LANES) square += (x[i] - mean) * (x[i] - mean);
    float root = rsqrtf(warp_sum(square) / width + eps);
    for (int i = lane; i < width; i += LANES) {
        total += weight[i] * dy[i];
        along += weight[i] * dy[i] * (x[i] - mean) * root;
    }
    total = warp_sum(total) / width, along = warp_sum(along) / width;
    for (int i = lane; i < width; i += LANES) {
        float normed = (x[i] - mean) * root;
        dx[i] = root * (weight[i] * dy[i] - total - normed * along);
        dweight[i] = dy[i] * normed;
    }
}

// ===== elements =====

// x (rows, heads, size), cos and sin (rows, size / 2)
__global__ void rope(const float* x, const float* cos, const float* sin, float* out, int count, int heads, int size,
                     float sign) {
    int index = blockIdx.x * blockDim.x + threadIdx.x, half = size / 2;
    if (index >= count) return;
    int at = index % half, head = index / half;
    float c = cos[(size_t)(head / heads) * half + at], s = sign * sin[(size_t)(head / heads) * half + at];
    size_t low = (size_t)head * size + at, high = low + half;
    out[low] = x[low] * c - x[high] * s;
    out[high] = x[high] * c + x[low] * s;
}

// 0: SiLU, 1: GELU by tanh, 2: GELU by erf
__device__ float activated(float x, int kind) {
    if (kind == 0) return x / (1 + expf(-x));
    if (kind == 1) return 0.5f * x * (1 + tanhf(0.7978845608028654f * x * (1 + 0.044715f * x * x)));
    return 0.5f * x * (1 + erff(x * 0.7071067811865476f));
}

__device__ float slope(float x, int kind) {
    if (kind == 0) {
        float gate = 1 / (1 + expf(-x));
        return gate * (1 + x * (1 - gate));
    }
    if (kind == 1) {
        float t = tanhf(0.7978845608028654f * x * (1 + 0.044715f * x * x));
        return 0.5f * (1 + t) + 0.5f * x * (1 - t * t) * 0.7978845608028654f * (1 + 0.134145f * x * x);
    }
    return 0.5f * (1 + erff(x * 0.7071067811865476f)) + x * 0.3989422804014327f * expf(-0.5f * x * x);
}

__global__ void activation(const float* x, float* out, int count, int kind) {
    int index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index < count) out[index] = activated(x[index], kind);
}

__global__ void activation_back(const float* x, const float* dy, float* dx, int count, int kind) {
    int index = blockIdx.x * blockDim.x + threadIdx.x;
    if (index < count) dx[index] = dy[index] * slope(x[index], kind);
}

// ===== rows by their index: x (rows, width), ids (count,) =====

__global__ void gather(const float* x, const unsigned* ids, float* out, int count, int width) {
    size_t index = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= (size_t)count * width) return;
    out[index] = x[(size_t)ids[index / width] * width + index % width];
}

// A block has a row of x and looks for those that were taken from it, in their order.
__global__ void gather_back(const float* dy, const unsigned* ids, float* dx, int count, int width) {
    __shared__ unsigned found[8];
    unsigned row = blockIdx.x;
    for (int first = 0; first < width; first += blockDim.x) {
        int at = first + threadIdx.x;
        float sum = 0;
        for (int start = 0; start < count; start += blockDim.x) {
            int index = start + threadIdx.x;
            unsigned hits = __ballot_sync(ALL, index < count && ids[index] == row);
            if (threadIdx.x % LANES == 0) found[threadIdx.x / LANES] = hits;
            __syncthreads();
            for (int warp = 0; warp < 8; warp++)
                for (unsigned left = found[warp]; left; left &= left - 1)
                    if (at < width) sum += dy[(size_t)(start + warp * LANES + __ffs(left) - 1) * width + at];
            __syncthreads();
        }
        if (at < width) dx[(size_t)row * width + at] = sum;
    }
}

// ===== cross entropy: logits (rows, vocabulary); ids of row r from offsets[r] to offsets[r + 1] =====

__device__ float log_total(const float* logits, int vocabulary, int lane) {
    float best = LOWEST, sum = 0;
    for (int i = lane; i < vocabulary; i += LANES) best = fmaxf(best, logits[i]);
    best = warp_max(best);
    for (int i = lane; i < vocabulary; i += LANES) sum += expf(logits[i] - best);
    return best + logf(warp_sum(sum));
}

__global__ void cross_entropy(const float* logits, const unsigned* ids, const unsigned* offsets, const float* weights,
                              float* out, int rows, int vocabulary) {
    int row = blockIdx.x * (blockDim.x / LANES) + threadIdx.x / LANES, lane = threadIdx.x % LANES;
    if (row >= rows) return;
    logits += (size_t)row * vocabulary;
    unsigned from = offsets[row], to = offsets[row + 1];
    float total = log_total(logits, vocabulary, lane), sum = 0;
    for (unsigned i = from + lane; i < to; i += LANES) sum += logits[ids[i]];
    float mean = warp_sum(sum) / (to - from);
    if (lane == 0) out[row] = weights[row] * (total - mean - logf(to - from));
}

__global__ void cross_entropy_back(const float* logits, const unsigned* ids, const unsigned* offsets,
                                   const float* weights, const float* dy, float* dx, int rows, int vocabulary) {
    int row = blockIdx.x * (blockDim.x / LANES) + threadIdx.x / LANES, lane = threadIdx.x % LANES;
    if (row >= rows) return;
    logits += (size_t)row * vocabulary, dx += (size_t)row * vocabulary;
    unsigned from = offsets[row], to = offsets[row + 1];
    float total = log_total(logits, vocabulary, lane), scale = dy[row] * weights[row];
    for (int i = lane; i < vocabulary; i += LANES) dx[i] = scale * expf(logits[i] - total);
    __syncwarp();
    // An id is in a row's list once.
    for (unsigned i = from + lane; i < to; i += LANES) dx[ids[i]] -= scale / (to - from);
}

// ===== attention: see attend.rs for what is seen =====
//
// q (rows, heads, size), rows being prefixes x fan x width; prefix (prefixes, t0, 2 kv_heads, size), own (prefixes x fan, t1,
// 2 kv_heads, size), keys before values in each column.

struct Seen {
    const float *prefix_keys, *own_keys;
    int prefix_from, own_from, prefix_count, count, stride, values;
};

__device__ Seen seen(const float* prefix, const float* own, const unsigned* prefix_from, const unsigned* own_from, int row,
                     int head, int fan, int width, int t0, int t1, int heads, int kv_heads, int size) {
    Seen s;
    int sequence = row / width, at = t1 - width + row % width, group = head / (heads / kv_heads);
    s.stride = 2 * kv_heads * size, s.values = kv_heads * size;
    s.prefix_keys = prefix + (size_t)(sequence / fan) * t0 * s.stride + group * size;
    s.own_keys = own + (size_t)sequence * t1 * s.stride + group * size;
    s.prefix_from = prefix_from[sequence / fan], s.own_from = min((int)own_from[sequence], at);
    s.prefix_count = max(t0 - s.prefix_from, 0);
    s.count = s.prefix_count + at + 1 - s.own_from;
    return s;
}

__device__ const float* key(const Seen& s, int i) {
    return i < s.prefix_count ? s.prefix_keys + (size_t)(s.prefix_from + i) * s.stride
                              : s.own_keys + (size_t)(s.own_from + i - s.prefix_count) * s.stride;
}

// exp(score - best) of what is seen; the best and the sum.
__device__ float2 exponentials(const Seen& s, const float* query, float* scores, int size, float scale, int lane) {
    float best = LOWEST, sum = 0;
    for (int i = lane; i < s.count; i += LANES) {
        scores[i] = scale * dot(query, key(s, i), size);
        best = fmaxf(best, scores[i]);
    }
    best = warp_max(best);
    for (int i = lane; i < s.count; i += LANES) sum += scores[i] = expf(scores[i] - best);
    sum = warp_sum(sum);
    __syncwarp();
    return make_float2(best, sum);
}

__global__ void attend(const float* q, const float* prefix, const float* own, const unsigned* prefix_from,
                       const unsigned* own_from, float* out, int rows, int fan, int width, int t0, int t1, int heads,
                       int kv_heads, int size, float scale) {
    extern __shared__ float4 memory[];
    int warp = threadIdx.x / LANES, lane = threadIdx.x % LANES, room = (t0 + t1 + 3) / 4 * 4;
    size_t item = (size_t)blockIdx.x * (blockDim.x / LANES) + warp;
    if (item >= (size_t)rows * heads) return;
    float *query = (float*)memory + warp * (room + size), *scores = query + size;
    Seen s = seen(prefix, own, prefix_from, own_from, item / heads, item % heads, fan, width, t0, t1, heads, kv_heads, size);
    for (int e = lane; e < size; e += LANES) query[e] = q[item * size + e];
    __syncwarp();
    float sum = exponentials(s, query, scores, size, scale, lane).y;
    for (int e = lane; e < size; e += LANES) {
        float mixed = 0;
        for (int i = 0; i < s.count; i++) mixed += scores[i] * key(s, i)[s.values + e];
        out[item * size + e] = mixed / sum;
    }
}

// dq; and for the columns each row's log of its sum (lse), and what its gradient is against (delta).
__global__ void attend_back_rows(const float* q, const float* prefix, const float* own, const unsigned* prefix_from,
                                 const unsigned* own_from, const float* out, const float* dy, float* dq, float* lse,
                                 float* delta, int rows, int fan, int width, int t0, int t1, int heads, int kv_heads,
                                 int size, float scale) {
    extern __shared__ float4 memory[];
    int warp = threadIdx.x / LANES, lane = threadIdx.x % LANES, room = (t0 + t1 + 3) / 4 * 4;
    size_t item = (size_t)blockIdx.x * (blockDim.x / LANES) + warp;
    if (item >= (size_t)rows * heads) return;
    float *query = (float*)memory + warp * (room + 2 * size), *down = query + size, *scores = down + size;
    Seen s = seen(prefix, own, prefix_from, own_from, item / heads, item % heads, fan, width, t0, t1, heads, kv_heads, size);
    float against = 0;
    for (int e = lane; e < size; e += LANES) {
        query[e] = q[item * size + e], down[e] = dy[item * size + e];
        against += down[e] * out[item * size + e];
    }
    against = warp_sum(against);
    __syncwarp();
    float2 total = exponentials(s, query, scores, size, scale, lane);
    for (int i = lane; i < s.count; i += LANES)
        scores[i] *= scale / total.y * (dot(down, key(s, i) + s.values, size) - against);
    __syncwarp();
    for (int e = lane; e < size; e += LANES) {
        float sum = 0;
        for (int i = 0; i < s.count; i++) sum += scores[i] * key(s, i)[e];
        dq[item * size + e] = sum;
    }
    if (lane == 0) lse[item] = total.x + logf(total.y), delta[item] = against;
}

// Gradients of keys and values, of a prefix or a sequence's own: kv (groups, columns, 2 kv_heads, size). Of each group `many`
// rows see a column: row r those up to column first + r, where first is not negative.
__global__ void attend_back_columns(const float* q, const float* kv, const unsigned* from, const float* dy,
                                    const float* lse, const float* delta, float* dkv, int groups, int columns, int many,
                                    int first, int heads, int kv_heads, int size, float scale) {
    extern __shared__ float4 memory[];
    int warp = threadIdx.x / LANES, lane = threadIdx.x % LANES;
    size_t item = (size_t)blockIdx.x * (blockDim.x / LANES) + warp;
    if (item >= (size_t)groups * columns * kv_heads) return;
    int head_group = item % kv_heads, shared_by = heads / kv_heads;
    size_t place = item / kv_heads;
    int column = place % columns, group = place / columns;
    size_t start = (place * 2 * kv_heads + head_group) * size, values = start + (size_t)kv_heads * size;
    float *k = (float*)memory + warp * 2 * size, *v = k + size;
    for (int e = lane; e < size; e += LANES) k[e] = kv[start + e], v[e] = kv[values + e];
    __syncwarp();
    float dk[8] = {}, dv[8] = {};
    bool is_seen = column >= (int)from[group];
    for (int head = head_group * shared_by; head < (head_group + 1) * shared_by; head++) {
        for (int tile = first < 0 ? 0 : max(column - first, 0) / LANES * LANES; tile < many; tile += LANES) {
            int row = tile + lane, at = first + row;
            size_t index = ((size_t)group * many + row) * heads + head;
            float p = 0, ds = 0;
            if (row < many && (first < 0 ? is_seen : at >= column && (is_seen || at == column))) {
                p = expf(scale * dot(k, q + index * size, size) - lse[index]);
                ds = scale * p * (dot(v, dy + index * size, size) - delta[index]);
            }
            for (int t = 0; t < min(LANES, many - tile); t++) {
                float weight = __shfl_sync(ALL, p, t), slope = __shfl_sync(ALL, ds, t);
                if (weight == 0 && slope == 0) continue;
                size_t row = (((size_t)group * many + tile + t) * heads + head) * size;
                for (int j = 0; j < 8; j++) {
                    int e = lane + LANES * j;
                    if (e < size) dk[j] += slope * q[row + e], dv[j] += weight * dy[row + e];
                }
            }
        }
    }
    for (int j = 0; j < 8; j++) {
        int e = lane + LANES * j;
        if (e < size) dkv[start + e] = dk[j], dkv[values + e] = dv[j];
    }
}
}
