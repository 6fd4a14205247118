#include "opened_profile.h"

#include "unit.h"

#include <string.h>

void open_profile(struct opened *opened, struct fake_recording *fake, enum tally_view_kind kind)
{
    *opened = (struct opened){0};
    fake_write(fake, true);
    assert_int_equal(tally_recording_open(&opened->recording, fake->path), 0);
    opened->profile = tally_profile_new(opened->recording, false, NULL, NULL);
    tally_view_make(&opened->view, kind, opened->profile, NULL, 0);
}

void close_profile(struct opened *opened, struct fake_recording *fake)
{
    tally_view_release(&opened->view);
    tally_profile_free(opened->profile);
    tally_recording_close(opened->recording);
    fake_free(fake);
}

void view_by(struct opened *opened, enum tally_view_kind kind)
{
    tally_view_release(&opened->view);
    tally_view_make(&opened->view, kind, opened->profile, NULL, 0);
}

void view_again(struct opened *opened, struct fake_recording *fake)
{
    tally_view_release(&opened->view);
    tally_profile_free(opened->profile);
    tally_recording_close(opened->recording);
    open_profile(opened, fake, TALLY_VIEW_FUNCTION);
}

const struct tally_row *find_row(const struct opened *opened, const char *name, uint32_t line)
{
    for (size_t i = 0; i < opened->view.row_count; i++) {
        const struct tally_row *row = &opened->view.rows[i];
        const char *shown = row->function ? row->function
                            : row->thread ? row->thread
                            : row->module ? row->module
                                          : row->process;
        if (!strcmp(shown, name) && (!line || row->line == line))
            return row;
    }
    return NULL;
}

const struct tally_row *row_of(const struct opened *opened, const char *name)
{
    const struct tally_row *row = find_row(opened, name, 0);
    assert_non_null(row);
    return row;
}

double self_of(const struct opened *opened, const char *name, size_t event)
{
    const struct tally_row *row = find_row(opened, name, 0);
    return row ? row->values[event].self : 0;
}

double inclusive_of(const struct opened *opened, const char *name)
{
    return row_of(opened, name)->values[0].inclusive;
}

void assert_sums_close(struct opened *opened)
{
    for (int kind = TALLY_VIEW_FUNCTION; kind < TALLY_VIEW_NATIVE; kind++) {
        view_by(opened, (enum tally_view_kind)kind);
        for (size_t e = 0; e < opened->profile->event_count; e++) {
            double sum = 0;
            for (size_t i = 0; i < opened->view.row_count; i++)
                sum += opened->view.rows[i].values[e].self;
            assert_true(sum == (double)opened->profile->run->events[e].total);
        }
    }
    view_by(opened, TALLY_VIEW_FUNCTION);
}

struct fake_image *start(struct fake_recording **fake, uint64_t total)
{
    *fake = fake_new();
    fake_event(*fake, "page-faults", 1, total);
    struct fake_image *image = fake_image(*fake, 100, "python3\nprogram.py");
    fake_code(image, 0, 1, "main", MAIN, 1);
    fake_code(image, 0, 2, "load", JSON, 10);
    fake_node(image, 0, 0, 0, 1, 2);
    fake_node(image, 0, 1, fake_id(0), 2, 0);
    fake_node(image, 0, 2, fake_id(0), 1, 4);
    fake_node(image, 0, 3, fake_id(2), 2, 1);
    return image;
}
