/* digest.h - SHA-256 of what is added piece by piece. */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stddef.h>

enum { DIGEST_BYTES = 32, DIGEST_TEXT_SIZE = 65 /* hex, with the NUL */ };

struct digest;

struct digest *digest_create(void);
void digest_destroy(struct digest *digest); /* NULL is fine */
void digest_add(struct digest *digest, const void *bytes, size_t len);
/* Writes the hash, and starts over. */
void digest_end(struct digest *digest, unsigned char out[DIGEST_BYTES]);
void digest_text(const unsigned char hash[DIGEST_BYTES], char out[DIGEST_TEXT_SIZE]);

#endif
