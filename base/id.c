#include "base/id.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { UUID_BYTES = 16, SHA1_BYTES = 20, SHA1_BLOCK = 64 };

/* A call of getrandom costs more than the rest of an id, so each thread draws in larger pieces. A
 * forked child must not repeat its parent's ids: the handler empties the copy. */
static _Thread_local struct {
	uint8_t bytes[32 * UUID_BYTES];
	size_t left;
} pool;
static pthread_once_t pool_once = PTHREAD_ONCE_INIT;

static void pool_forget(void)
{
	pool.left = 0;
}

static void pool_watch_forks(void)
{
	ASSERT(pthread_atfork(NULL, NULL, pool_forget) == 0);
}

static const uint8_t *pool_take(void)
{
	if (pool.left == 0) {
		pthread_once(&pool_once, pool_watch_forks);
		size_t have = 0;
		while (have < sizeof(pool.bytes)) {
			ssize_t got = getrandom(pool.bytes + have, sizeof(pool.bytes) - have, 0);
			if (got > 0)
				have += (size_t)got;
		}
		pool.left = sizeof(pool.bytes);
	}
	pool.left -= UUID_BYTES;
	return pool.bytes + pool.left;
}

static void uuid_write(char out[UUID_SIZE], const uint8_t *bytes, unsigned version)
{
	static const char digits[] = "0123456789abcdef";
	char *p = out;
	for (size_t i = 0; i < UUID_BYTES; i++) {
		unsigned byte = bytes[i];
		if (i == 6)
			byte = (byte & 0x0F) | version << 4;
		else if (i == 8)
			byte = (byte & 0x3F) | 0x80;
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		*p++ = digits[byte >> 4];
		*p++ = digits[byte & 15];
	}
	*p = '\0';
}

void uuid_v4(char out[UUID_SIZE])
{
	uuid_write(out, pool_take(), 4);
}

/* SHA-1 (FIPS 180-4): what version 5 is made with; nothing here relies on its security. */
struct sha1 {
	uint32_t state[5];
	uint8_t block[SHA1_BLOCK];
	uint64_t len;
};

static uint32_t rotate(uint32_t value, int by)
{
	return value << by | value >> (32 - by);
}

static void sha1_block(struct sha1 *sha)
{
	uint32_t w[80];
	for (size_t i = 0; i < 16; i++) {
		const uint8_t *b = sha->block + 4 * i;
		w[i] = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
	}
	for (size_t i = 16; i < 80; i++)
		w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	uint32_t a = sha->state[0], b = sha->state[1], c = sha->state[2], d = sha->state[3];
	uint32_t e = sha->state[4];
	for (size_t i = 0; i < 80; i++) {
		uint32_t f;
		if (i < 20)
			f = ((b & c) | (~b & d)) + 0x5A827999;
		else if (i < 40)
			f = (b ^ c ^ d) + 0x6ED9EBA1;
		else if (i < 60)
			f = ((b & c) | (b & d) | (c & d)) + 0x8F1BBCDC;
		else
			f = (b ^ c ^ d) + 0xCA62C1D6;
		uint32_t next = rotate(a, 5) + f + e + w[i];
		e = d;
		d = c;
		c = rotate(b, 30);
		b = a;
		a = next;
	}
	sha->state[0] += a;
	sha->state[1] += b;
	sha->state[2] += c;
	sha->state[3] += d;
	sha->state[4] += e;
}

static void sha1_add(struct sha1 *sha, const void *data, size_t len)
{
	const uint8_t *bytes = data;
	while (len > 0) {
		size_t at = sha->len % SHA1_BLOCK;
		size_t take = SHA1_BLOCK - at < len ? SHA1_BLOCK - at : len;
		memcpy(sha->block + at, bytes, take);
		sha->len += take;
		bytes += take;
		len -= take;
		if (at + take == SHA1_BLOCK)
			sha1_block(sha);
	}
}

static void sha1_end(struct sha1 *sha, uint8_t out[SHA1_BYTES])
{
	static const uint8_t padding[SHA1_BLOCK] = { 0x80 };
	uint64_t bits = sha->len * 8;
	size_t at = sha->len % SHA1_BLOCK;
	sha1_add(sha, padding, (at < 56 ? 56 : 120) - at);
	uint8_t length[8];
	for (size_t i = 0; i < 8; i++)
		length[i] = (uint8_t)(bits >> (56 - 8 * i));
	sha1_add(sha, length, sizeof(length));
	for (size_t i = 0; i < SHA1_BYTES; i++)
		out[i] = (uint8_t)(sha->state[i / 4] >> (24 - 8 * (i % 4)));
}

/* Of a hex digit in lower case its value plus 1, else 0. */
static const uint8_t hex_values[256] = {
	['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,
	['6'] = 7,  ['7'] = 8,  ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12,
	['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
};

bool uuid_read(const char *text, uint8_t bytes[UUID_BYTES])
{
	const uint8_t *p = (const uint8_t *)text;
	for (size_t i = 0; i < UUID_BYTES; i++) {
		if ((i == 4 || i == 6 || i == 8 || i == 10) && *p++ != '-')
			return false;
		unsigned high = hex_values[p[0]];
		unsigned low = high == 0 ? 0 : hex_values[p[1]];
		if (low == 0)
			return false;
		bytes[i] = (uint8_t)((high - 1) << 4 | (low - 1));
		p += 2;
	}
	return *p == '\0';
}

void uuid_v5(char out[UUID_SIZE], const char *space, const char *a, const char *b)
{
	struct sha1 sha = { .state = { 0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476,
		                       0xC3D2E1F0 } };
	uint8_t bytes[SHA1_BYTES];
	ASSERT(uuid_read(space, bytes));
	sha1_add(&sha, bytes, UUID_BYTES);
	sha1_add(&sha, a, strlen(a));
	if (b != NULL) {
		sha1_add(&sha, "/", 1);
		sha1_add(&sha, b, strlen(b));
	}
	sha1_end(&sha, bytes);
	uuid_write(out, bytes, 5);
}

bool uuid_valid(const char *text)
{
	uint8_t bytes[UUID_BYTES];
	return uuid_read(text, bytes);
}

/* Reads digits up to `stop`; moves *text behind it. */
static bool number_parse(const char **text, char stop, uint64_t *out)
{
	const char *p = *text;
	uint64_t value = 0;
	if (*p == stop)
		return false;
	for (; *p != stop; p++) {
		if (*p < '0' || *p > '9')
			return false;
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
			return false;
	}
	*text = p + 1;
	*out = value;
	return true;
}

bool entry_id_parse(const char *text, struct entry_id *id, struct error *err)
{
	const char *p = text;
	struct entry_id parsed;
	if (!number_parse(&p, '-', &parsed.ms) || !number_parse(&p, '\0', &parsed.us))
		return error_set(err, ERR_INVALID,
		                 "entry id must be MILLISECONDS-MICROSECONDS such as "
		                 "1700000000000-0, is \"%.60s\"",
		                 text);
	*id = parsed;
	return true;
}

static char *number_write(char *p, uint64_t value)
{
	char digits[20];
	size_t count = 0;
	do {
		digits[count++] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	while (count > 0)
		*p++ = digits[--count];
	return p;
}

void entry_id_format(struct entry_id id, char out[ENTRY_ID_SIZE])
{
	char *p = number_write(out, id.ms);
	*p++ = '-';
	*number_write(p, id.us) = '\0';
}

int entry_id_compare(struct entry_id a, struct entry_id b)
{
	if (a.ms != b.ms)
		return a.ms < b.ms ? -1 : 1;
	return a.us == b.us ? 0 : a.us < b.us ? -1 : 1;
}

bool name_check(const char *what, const char *name, struct error *err)
{
	enum { NAME_MAX_BYTES = 64 };
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                              "0123456789_-.";
	size_t len = strspn(name, allowed);
	if (len == 0 || len > NAME_MAX_BYTES || name[len] != '\0')
		return error_set(err, ERR_INVALID,
		                 "%s: must be 1 to 64 characters of [a-zA-Z0-9_.-], is \"%.70s\"",
		                 what, name);
	return true;
}

void instance_name(char out[INSTANCE_NAME_SIZE], const char *address, int port)
{
	char host[48] = "localhost";
	(void)gethostname(host, sizeof(host) - 1);
	snprintf(out, INSTANCE_NAME_SIZE, "%s/%s", host, address);
	char *end = strrchr(out, ':');
	if (end != NULL && strcmp(end, ":0") == 0)
		snprintf(end, INSTANCE_NAME_SIZE - (size_t)(end - out), ":%d", port);
}
