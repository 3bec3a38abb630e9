#include "base/digest.h"

#include "base/error.h"

#include <nettle/sha2.h>
#include <stdlib.h>

struct digest {
	struct sha256_ctx context;
};

struct digest *digest_create(void)
{
	struct digest *digest = malloc(sizeof(*digest));
	ASSERT(digest != NULL);
	sha256_init(&digest->context);
	return digest;
}

void digest_destroy(struct digest *digest)
{
	free(digest);
}

void digest_add(struct digest *digest, const void *bytes, size_t len)
{
	sha256_update(&digest->context, len, bytes);
}

void digest_end(struct digest *digest, unsigned char out[DIGEST_BYTES])
{
	sha256_digest(&digest->context, DIGEST_BYTES, out);
}

void digest_text(const unsigned char hash[DIGEST_BYTES], char out[DIGEST_TEXT_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < DIGEST_BYTES; i++) {
		out[2 * i] = digits[hash[i] >> 4];
		out[2 * i + 1] = digits[hash[i] & 15];
	}
	out[DIGEST_TEXT_SIZE - 1] = '\0';
}
