/* Format v1 in C99, on the header that `actcodec export --tables T --format c-header --out DIR` writes.

   Build:  cc -std=c99 -O2 -IDIR -o codec codec.c
   Use:    ./codec encode SITE < activations > stream     H x W x C bytes, channels last, in stored order
           ./codec decode SITE < stream > activations

   Folded sites, whose encoder takes the sums of the convolution before them, are decoded only. */
#include "actcodec_tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Round half towards +infinity, for negative values as well. */
static int64_t round_shift(int64_t value, unsigned shift)
{
    int64_t divisor = (int64_t)1 << shift, sum = shift ? value + divisor / 2 : value;
    return sum >= 0 ? sum / divisor : -((-sum + divisor - 1) / divisor);
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

static void put_bits(uint8_t *stream, uint64_t place, unsigned count, unsigned code)
{
    for (unsigned i = 0; i < count; i++, place++)
        stream[place / 8] |= (uint8_t)((code >> i & 1u) << place % 8);
}

static unsigned get_bits(const uint8_t *stream, uint64_t place, unsigned count)
{
    unsigned code = 0;
    for (unsigned i = 0; i < count; i++, place++)
        code |= (unsigned)(stream[place / 8] >> place % 8 & 1u) << i;
    return code;
}

/* Codes of one block of position x[channels], from bit `place` of the stream on; returns the bit behind them. */
static uint64_t encode_block(const actcodec_site *s, const actcodec_block *b, const uint8_t *x, uint8_t *stream,
                             uint64_t place)
{
    for (uint32_t k = b->coefficient_begin; k < b->coefficient_end; k++) {
        const int8_t *row = s->P + (size_t)k * ACTCODEC_BLOCK;
        int64_t acc = s->bias[k];
        for (uint32_t c = b->channel_begin; c < b->channel_end; c++)
            acc += row[c - b->channel_begin] * (x[c] - s->zero);
        put_bits(stream, place, s->bits[k], (unsigned)clamp(round_shift(acc, s->shift[k]), 0, (1 << s->bits[k]) - 1));
        place += s->bits[k];
    }
    return place;
}

static uint64_t decode_block(const actcodec_site *s, const actcodec_block *b, const uint8_t *stream, uint64_t place,
                             uint8_t *x)
{
    int64_t codes[ACTCODEC_BLOCK];
    for (uint32_t k = b->coefficient_begin; k < b->coefficient_end; k++) {
        codes[k - b->coefficient_begin] = (int64_t)get_bits(stream, place, s->bits[k]) << s->left_shift[k];
        place += s->bits[k];
    }
    for (uint32_t c = b->channel_begin; c < b->channel_end; c++) {
        const int8_t *row = s->R + (size_t)c * ACTCODEC_BLOCK;
        int64_t acc = s->bias_out[c];
        for (uint32_t k = 0; k < b->coefficient_end - b->coefficient_begin; k++)
            acc += row[k] * codes[k];
        x[c] = (uint8_t)clamp(round_shift(acc, s->output_shift) + s->zero, s->low, s->high);
    }
    return place;
}

/* Both directions go through the planes, rows, positions and blocks of the stream in their order. */
static void run(const actcodec_site *s, int encode, uint8_t *x, uint8_t *stream)
{
    for (uint32_t p = 0; p < s->plane_count; p++) {
        const actcodec_plane *plane = &s->planes[p];
        for (uint32_t y = 0; y < s->height; y++) {
            uint64_t place = plane->base_bits + y * plane->pitch_bits;
            for (uint32_t column = 0; column < s->width; column++) {
                uint8_t *position = x + ((size_t)y * s->width + column) * s->channels;
                for (uint32_t b = plane->block_begin; b < plane->block_end; b++)
                    place = encode ? encode_block(s, &s->blocks[b], position, stream, place)
                                   : decode_block(s, &s->blocks[b], stream, place, position);
            }
        }
    }
}

int main(int argc, char **argv)
{
    const actcodec_site *s = NULL;
    if (argc != 3 || (strcmp(argv[1], "encode") && strcmp(argv[1], "decode")))
        return fprintf(stderr, "usage: codec encode|decode SITE\n"), 2;
    for (int i = 0; i < ACTCODEC_SITE_COUNT; i++)
        if (!strcmp(actcodec_sites[i].name, argv[2]))
            s = &actcodec_sites[i];
    int encode = argv[1][0] == 'e';
    if (!s || (encode && s->transform == ACTCODEC_FOLDED))
        return fprintf(stderr, "error: no site %s that can be %sd\n", argv[2], argv[1]), 2;
    size_t values = (size_t)s->channels * s->height * s->width, bytes = (size_t)s->stream_bytes;
    uint8_t *x = calloc(values + 1, 1), *stream = calloc(bytes + 1, 1);
    if (!x || !stream)
        return fprintf(stderr, "error: out of memory\n"), 1;
    uint8_t *in = encode ? x : stream, *out = encode ? stream : x;
    size_t taken = encode ? values : bytes, given = encode ? bytes : values;
    if (fread(in, 1, taken, stdin) != taken)
        return fprintf(stderr, "error: %s needs %zu bytes\n", argv[2], taken), 2;
    run(s, encode, x, stream);
    int written = fwrite(out, 1, given, stdout) == given && fflush(stdout) == 0;
    free(x);
    free(stream);
    return written ? 0 : 1;
}
