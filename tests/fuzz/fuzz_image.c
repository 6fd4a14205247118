/*
 * Images: read from the file to the numbers of a report. The first byte of an input chooses: 0, the
 * rest is the file; else the rest is records, put into chunks behind a right header.
 */
#include "fuzz.h"
#include "scratch.h"

#include "base/buffer.h"
#include "profile/profile.h"
#include "profile/tree.h"
#include "profile/view.h"
#include "recording/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EVENTS = 3, PAYLOAD = TALLY_CHUNK_SIZE - sizeof(struct tally_chunk) };

/* A clock, an exact event and a read-only one. */
static void write_description(void)
{
    static const struct {
        const char *name;
        uint64_t period;
    } events[EVENTS] = {{"task-clock", 1000}, {"page-faults", 1}, {"minor-faults", 0}};
    struct tally_run run = {.command = tally_strdup("program"),
                            .directory = tally_strdup("/"),
                            .machine = tally_strdup(""),
                            .started = tally_strdup(""),
                            .version = tally_strdup("")};
    run.event_count = run.counter_count = EVENTS;
    for (int i = 0; i < EVENTS; i++) {
        struct tally_run_event *event = &run.events[i];
        *event = (struct tally_run_event){.first_counter = i, .has_total = true, .total = 12345};
        snprintf(event->event.name, sizeof(event->event.name), "%s", events[i].name);
        event->event.period = events[i].period;
        event->event.read_only = !events[i].period;
        event->event.term_count = 1;
        event->event.terms[0].factor = 1;
    }
    json_t *json = tally_run_to_json(&run);
    char *text = json_dumps(json, 0);
    scratch_file("session.json", text, strlen(text));
    free(text);
    json_decref(json);
    tally_run_release(&run);
}

static void write_records(const uint8_t *data, size_t size)
{
    static union {
        struct tally_image_header header;
        char bytes[TALLY_HEADER_SIZE];
    } head;
    struct tally_buffer file = {0};
    uint32_t count = 0;
    memcpy(head.header.magic, TALLY_IMAGE_MAGIC, sizeof(head.header.magic));
    head.header.counter_count = EVENTS;
    head.header.python = 0x030b02f0;
    tally_buffer_append(&file, head.bytes, sizeof(head.bytes));
    for (size_t at = 0; at < size; at += PAYLOAD) {
        static const char zeros[TALLY_CHUNK_SIZE];
        size_t part = size - at < PAYLOAD ? (size - at) & ~(size_t)7 : PAYLOAD;
        struct tally_chunk chunk = {TALLY_CHUNK_MAGIC, count % 2, count / 2, (uint32_t)part};
        tally_buffer_append(&file, &chunk, sizeof(chunk));
        tally_buffer_append(&file, data + at, part);
        tally_buffer_append(&file, zeros, PAYLOAD - part);
        count++;
    }
    scratch_file("000001.image", file.data, file.size);
    tally_buffer_release(&file);
}

static void read_recording(const char *path)
{
    struct tally_recording *recording = NULL;
    struct tally_view view;
    struct tally_tree tree;
    if (tally_recording_open(&recording, path) < 0)
        abort(); /* only session.json decides that, which is right */
    struct tally_profile *profile = tally_profile_new(recording, true, NULL, NULL);
    tally_view_make(&view, TALLY_VIEW_LINE, profile, NULL, 0);
    tally_view_release(&view);
    tally_tree_make(&tree, profile, 0);
    tally_tree_release(&tree);
    tally_profile_free(profile);
    tally_recording_close(recording);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    write_description();
    if (size && data[0])
        write_records(data + 1, size - 1);
    else
        scratch_file("000001.image", data + (size > 0), size - (size > 0));
    read_recording(scratch_file("other", "", 0));
    return 0;
}
