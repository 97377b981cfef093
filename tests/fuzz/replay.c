// SPDX-License-Identifier: MIT
/*
 * Gives the files named on the command line to a target, one after the other, without a fuzzer:
 * what was found once, and what real machines have, for every run of the tests.
 *
 * The first that is a finding ends the program; its name is printed before it runs.
 */
#include "host.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

/* For the mutators that targets bring along: there is no fuzzer here to call them. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max)
{
	return size;
}

static void replay(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data;
	long size;

	if (!file || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0) {
		perror(path);
		exit(2);
	}
	rewind(file);
	/* Exactly as large as the input: one byte further is a finding. */
	data = malloc(size ? (size_t)size : 1);
	if (!data || fread(data, 1, (size_t)size, file) != (size_t)size) {
		perror(path);
		exit(2);
	}
	fclose(file);
	fprintf(stderr, "replaying %s\n", path);
	LLVMFuzzerTestOneInput(data, (size_t)size);
	free(data);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		replay(argv[i]);
	printf("%d inputs, no finding\n", argc - 1);
	return 0;
}
