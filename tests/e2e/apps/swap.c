/* SPDX-License-Identifier: Apache-2.0 */
/* Maps a library to be executed, and another file in the same place before anybody can have looked: swap LIBRARY OTHER. Prints how often it has done so, each hundredth time, until it is ended. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int library = argc > 2 ? open(argv[1], O_RDONLY) : -1, other = argc > 2 ? open(argv[2], O_RDONLY) : -1;
	const struct timespec pause = { 0, 3000000 };

	if (library < 0 || other < 0)
		return 1;
	for (int n = 1;; n++) {
		void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, library, 0);
		if (p == MAP_FAILED || mmap(p, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, other, 0) != p)
			return 1;
		nanosleep(&pause, NULL); /* what it is looked at in */
		munmap(p, 4096);
		if (n % 100 == 0 && (printf("%d\n", n) < 0 || fflush(stdout)))
			return 0;
	}
}
