/* Exact co-occurrence counts of a chunk of tokens, one row of the triangle at a time, in shared memory.

Ranks are features numbered from the hottest; row r counts r's tokens with every hotter feature j < r. A firing is
one word, `packed = rank << bits | level`, its level having a bit for each firing rule beyond `any`. The counter of a
pair by its level lies at `j << bits | (level_i & level_j)`, which is `packed_j & (~mask | packed_i)`: one instruction.

Phases of a chunk of n firings (L a token) and P = n (L - 1) / 2 increments:

1. relabel      ids to packed ranks, ids out of range flagged, firings counted by rank and level: O(n)
2. sort_tokens  each token's ranks in ascending order, doubled ids flagged, where each column tile begins in each
                token: every rank counts the lower ones, O(n L) comparisons that the lanes of a group share
3. invert       for each row that phase 4 takes, the places where it fires: one atomic for its slot a firing, O(n)
4. count_rows   one block a work item (row, tile of columns, segment of the row's firings): counters in shared
                memory, P increments; those above 0 are then added to the 64-bit totals in global memory, coalesced
5. count_pairs  rows with fewer increments than a fair part of their columns: straight to the totals, one global
                atomic an increment; clearing and reading a row of shared counters would cost more

What bounds it: phase 4, by the rate of random atomics in shared memory (two blocks on a multiprocessor hide the
latency of reading the chunk, which lies in L2). Clearing and reading counters costs rows x columns a chunk: for wide
SAEs larger chunks pay until that is small beside P. Phases 1 to 3 cost L / 2 times fewer memory operations than P.
Sums are integers, so no order of additions changes a result.

Compiled with SUMS (0 or 1: also add up activations, 1/1024 units) and THREADS (the most threads a block of count_rows).
No header is included: NVRTC has none of C's. ASCII alone, the compiler's input being written in the locale's encoding.
*/

#ifndef SUMS
#define SUMS 0
#endif
#ifndef THREADS
#define THREADS 1024
#endif

typedef unsigned char u8;
typedef unsigned int u32;
typedef long long i64;
typedef unsigned long long u64;

#define NOWHERE 0xffffffffu /* a packed rank that no firing has: ids out of range */

extern __shared__ u64 shared_words[];

__device__ __forceinline__ u64 triangle(u32 row) { return row ? (u64)row * (row - 1) / 2 : 0; }

extern "C" __global__ void relabel(
    const int* ids, const u8* levels, const u32* rank, u32 n_firings, u32 d_sae, u32 bits,
    u32* packed, u32* fired, u32* faults)
{
    const u32 mask = (1u << bits) - 1;
    const u32 step = gridDim.x * blockDim.x;
    for (u32 k = blockIdx.x * blockDim.x + threadIdx.x; k < n_firings; k += step) {
        const u32 id = (u32)ids[k];
        if (id >= d_sae) {  /* negative ones wrap to large ones */
            atomicMin(&faults[0], 0u);
            packed[k] = NOWHERE;
            continue;
        }
        const u32 one = rank[id] << bits | (bits ? levels[k] & mask : 0);
        packed[k] = one;
        atomicAdd(&fired[one], 1u);
    }
}

extern "C" __global__ void sort_tokens(
    const i64* indptr, const u32* packed, const i64* amounts, u32 n_tokens, u32 bits, u32 lanes, u32 tile, u32 n_tiles,
    u32* sorted, i64* sorted_amounts, u32* bounds, u32* faults)
{
    const u32 lane = threadIdx.x % lanes;
    const u32 step = gridDim.x * (blockDim.x / lanes);
    for (u32 token = blockIdx.x * (blockDim.x / lanes) + threadIdx.x / lanes; token < n_tokens; token += step) {
        const u32 start = (u32)(indptr[token] - indptr[0]), stop = (u32)(indptr[token + 1] - indptr[0]);
        for (u32 k = start + lane; k < stop; k += lanes) {
            const u32 one = packed[k], rank = one >> bits;
            u32 lower = 0, same = 0;
            for (u32 j = start; j < stop; ++j) {
                const u32 other = packed[j] >> bits;
                lower += other < rank;
                same += other == rank;
            }
            if (same != 1) {
                atomicMin(&faults[1], token);
                continue;  /* the chunk is refused: what is written does not matter */
            }
            sorted[start + lower] = one;
#if SUMS
            sorted_amounts[start + lower] = amounts[k];
#endif
        }
        for (u32 t = lane; t < n_tiles; t += lanes) {
            u32 before = 0;
            for (u32 j = start; j < stop; ++j) before += packed[j] >> bits < t * tile;
            bounds[(u64)t * n_tokens + token] = start + before;
        }
    }
}

extern "C" __global__ void invert(
    const i64* indptr, const u32* sorted, const u8* heavy, u32 n_tokens, u32 bits, u32 lanes, u32 low, u32 high,
    u32* next, u32* places, u32* tokens)
{
    const u32 step = gridDim.x * (blockDim.x / lanes);
    for (u32 token = blockIdx.x * (blockDim.x / lanes) + threadIdx.x / lanes; token < n_tokens; token += step) {
        const u32 stop = (u32)(indptr[token + 1] - indptr[0]);
        for (u32 k = (u32)(indptr[token] - indptr[0]) + threadIdx.x % lanes; k < stop; k += lanes) {
            const u32 row = sorted[k] >> bits;
            if (row < low || row >= high || !heavy[row - low]) continue;
            const u32 slot = atomicAdd(&next[row - low], 1u);
            places[slot] = k;
            tokens[slot] = token;
        }
    }
}

/* Blocks of one row differ in tile and segment. `alone`: no other block adds to these totals in this launch. */
__device__ __forceinline__ void flush(u64* total, u64 value, bool alone)
{
    if (!value) return;
    if (alone) *total += value;
    else atomicAdd(total, value);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2) count_rows(
    const u32* item_row, const u32* first_item, const u32* first_entry, const u32* places, const u32* tokens,
    const u32* bounds, const u32* sorted, const i64* amounts, u32 n_tokens, u32 low, u32 bits, u32 lanes, u32 tile,
    u32 segment, i64* joint, i64* sums, i64 n_pairs)
{
    const u32 row = item_row[blockIdx.x], item = blockIdx.x - first_item[row - low];
    const u32 n_tiles = (row + tile - 1) / tile;
    const u32 begin = first_entry[row - low] + item / n_tiles * segment;
    const u32 end = first_entry[row - low + 1] - begin < segment ? first_entry[row - low + 1] : begin + segment;
    const bool alone = first_entry[row - low + 1] - first_entry[row - low] <= segment;
    const u32 column = item % n_tiles * tile;
    const u32 n_columns = row - column < tile ? row - column : tile;
    const u32 mask = (1u << bits) - 1;
    const u32* const starts = bounds + (u64)(item % n_tiles) * n_tokens;

#if SUMS
    u64* const own = shared_words;
    u64* const hotter = own + n_columns;
    u32* const counters = (u32*)(hotter + n_columns);
    for (u32 k = threadIdx.x; k < 2 * n_columns; k += blockDim.x) own[k] = 0;
#else
    u32* const counters = (u32*)shared_words;
#endif
    for (u32 k = threadIdx.x; k < n_columns << bits; k += blockDim.x) counters[k] = 0;
    __syncthreads();

    for (u32 at = begin + threadIdx.x / lanes; at < end; at += blockDim.x / lanes) {
        const u32 token = tokens[at], place = places[at];
        const u32 stop = column + n_columns == row ? place : starts[n_tokens + token];
        const u32 select = ~mask | sorted[place];
        for (u32 k = starts[token] + threadIdx.x % lanes; k < stop; k += lanes) {
            const u32 one = sorted[k];
            atomicAdd(&counters[(one & select) - (column << bits)], 1u);
#if SUMS
            atomicAdd(&own[(one >> bits) - column], (u64)amounts[place]);
            atomicAdd(&hotter[(one >> bits) - column], (u64)amounts[k]);
#endif
        }
    }
    __syncthreads();

    const u64 pair = triangle(row) - triangle(low) + column;
    u64* const totals = (u64*)joint + (pair << bits);
    for (u32 k = threadIdx.x; k < n_columns << bits; k += blockDim.x) flush(totals + k, counters[k], alone);
#if SUMS
    u64* const amount = (u64*)sums + pair;
    for (u32 k = threadIdx.x; k < n_columns; k += blockDim.x) {
        flush(amount + k, own[k], alone);
        flush(amount + n_pairs + k, hotter[k], alone);
    }
#endif
}

extern "C" __global__ void count_pairs(
    const i64* indptr, const u32* sorted, const i64* amounts, const u8* heavy, u32 n_tokens, u32 low, u32 high,
    u32 bits, u32 lanes, i64* joint, i64* sums, i64 n_pairs)
{
    const u32 mask = (1u << bits) - 1;
    const u32 step = gridDim.x * (blockDim.x / lanes);
    for (u32 token = blockIdx.x * (blockDim.x / lanes) + threadIdx.x / lanes; token < n_tokens; token += step) {
        const u32 start = (u32)(indptr[token] - indptr[0]), stop = (u32)(indptr[token + 1] - indptr[0]);
        for (u32 place = start + 1; place < stop; ++place) {
            const u32 row = sorted[place] >> bits;
            if (row < low || row >= high || heavy[row - low]) continue;
            const u32 select = ~mask | sorted[place];
            const u64 base = triangle(row) - triangle(low);
            for (u32 k = start + threadIdx.x % lanes; k < place; k += lanes) {
                const u32 one = sorted[k];
                atomicAdd((u64*)joint + (base << bits) + (one & select), (u64)1);
#if SUMS
                atomicAdd((u64*)sums + base + (one >> bits), (u64)amounts[place]);
                atomicAdd((u64*)sums + n_pairs + base + (one >> bits), (u64)amounts[k]);
#endif
            }
        }
    }
}
