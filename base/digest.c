#include "base/digest.h"

#include "base/error.h"

#include <openssl/evp.h>
#include <stdlib.h>

/* OpenSSL looks an algorithm up by name; once per digest is enough. */
struct digest {
	EVP_MD *algorithm;
	EVP_MD_CTX *context;
};

struct digest *digest_create(void)
{
	struct digest *digest = malloc(sizeof(*digest));
	ASSERT(digest != NULL);
	digest->algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
	digest->context = EVP_MD_CTX_new();
	ASSERT(digest->algorithm != NULL && digest->context != NULL);
	ASSERT(EVP_DigestInit_ex2(digest->context, digest->algorithm, NULL) == 1);
	return digest;
}

void digest_destroy(struct digest *digest)
{
	if (digest == NULL)
		return;
	EVP_MD_CTX_free(digest->context);
	EVP_MD_free(digest->algorithm);
	free(digest);
}

void digest_add(struct digest *digest, const void *bytes, size_t len)
{
	ASSERT(EVP_DigestUpdate(digest->context, bytes, len) == 1);
}

void digest_end(struct digest *digest, unsigned char out[DIGEST_BYTES])
{
	ASSERT(EVP_DigestFinal_ex(digest->context, out, NULL) == 1);
	ASSERT(EVP_DigestInit_ex2(digest->context, digest->algorithm, NULL) == 1);
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
